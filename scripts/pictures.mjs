/** `npm run pictures`: takes the pictures of the README anew, in a real VS Code (Linux on x64, as the end-to-end tests). */
import { buildIfOutdated, installPackages, requireNode } from './support/setup.mjs';

requireNode();
installPackages();
buildIfOutdated();
const { importTypeScript } = await import('./support/runTypeScript.mjs');
const { takePictures } = await importTypeScript('test/e2e/pictures.ts');
await takePictures();
