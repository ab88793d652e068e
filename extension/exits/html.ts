/** The page of the exits view. Everything that comes from the machine is put into it as text, by script. */

export interface PageParts {
  readonly script: string;
  readonly style: string;
  /** What the browser may load styles from. */
  readonly cspSource: string;
  readonly nonce: string;
}

/** All but the nonce is ours or VS Code's. */
export function exitsPage({ script, style, cspSource, nonce }: PageParts): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'nonce-${nonce}'; style-src ${cspSource}">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<link rel="stylesheet" href="${style}">
<title>VM exits</title>
</head>
<body>
<main id="exits"></main>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>
`;
}
