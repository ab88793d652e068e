import { describe, expect, it } from 'vitest';
import { fuzzBootImages } from './bootImages.ts';

describe('a damaged kernel image', () => {
  it.each([1, 10_001, 20_001])('gives a plan that fits or one clear sentence (from seed %i on)', (seed) => {
    const { planned, refused, reasons } = fuzzBootImages(seed, 3000);
    expect(planned).toBeGreaterThan(500);
    expect(refused).toBeGreaterThan(500);
    expect(reasons.size).toBeGreaterThan(20);
  });
});
