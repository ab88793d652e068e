/** Builds small files in the form of a Linux bzImage for tests. */
export interface TestBzImage {
  readonly version?: number;
  readonly kernel: Uint8Array;
  readonly has64BitEntry?: boolean;
  readonly relocatable?: boolean;
  readonly preferredAddress?: number;
  readonly initSize?: number;
  readonly commandLineSize?: number;
  readonly loadedHigh?: boolean;
}

const SETUP_SECTORS = 2;

export function buildBzImage({
  version = 0x020f,
  kernel,
  has64BitEntry = true,
  relocatable = false,
  preferredAddress = 0x10_0000,
  initSize = 0,
  commandLineSize = 255,
  loadedHigh = true,
}: TestBzImage): Uint8Array {
  const start = (SETUP_SECTORS + 1) * 512;
  const file = new Uint8Array(start + kernel.length);
  const view = new DataView(file.buffer);
  file[0x1f1] = SETUP_SECTORS;
  view.setUint32(0x1f4, Math.ceil(kernel.length / 16), true);
  view.setUint16(0x1fe, 0xaa55, true);
  // A short jump over the header; its displacement is the header's length.
  file.set([0xeb, 0x66], 0x200);
  file.set([0x48, 0x64, 0x72, 0x53], 0x202);
  view.setUint16(0x206, version, true);
  file[0x211] = loadedHigh ? 1 : 0;
  view.setUint32(0x214, 0x10_0000, true);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint32(0x230, 0x20_0000, true);
  file[0x234] = relocatable ? 1 : 0;
  view.setUint16(0x236, has64BitEntry ? 1 : 0, true);
  view.setUint32(0x238, commandLineSize, true);
  view.setUint32(0x258, preferredAddress, true);
  view.setUint32(0x260, initSize, true);
  file.set(kernel, start);
  return file;
}
