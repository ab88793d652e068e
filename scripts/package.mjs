/** `npm run package`: builds and writes hvm-debugger-VERSION.vsix. */
import { writeVsix } from './support/extensionPackage.mjs';
import { build, installPackages, requireNode } from './support/setup.mjs';

requireNode();
installPackages();
if (!build()) process.exit(1);
writeVsix(...process.argv.slice(2));
