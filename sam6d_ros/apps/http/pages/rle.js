// Masks in COCO's run-length encoding (github.com/cocodataset/cocoapi, maskApi.c: rleFrString).

/** Return the runs of a mask: alternating numbers of 0 and 1, column by column. */
export function runsOf(counts) {
  if (Array.isArray(counts)) return counts;
  const runs = [];
  for (let p = 0; p < counts.length;) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      const code = counts.charCodeAt(p) - 48;
      value |= (code & 0x1f) << shift;
      more = (code & 0x20) !== 0;
      p += 1;
      shift += 5;
      if (!more && code & 0x10) value |= -1 << shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** Return {height, width, pixels}: pixels is a row-major Uint8Array of 0 and 1. */
export function decodeMask(mask) {
  const [height, width] = mask.size;
  const pixels = new Uint8Array(height * width);
  let at = 0;
  runsOf(mask.counts).forEach((length, index) => {
    for (let i = 0; index % 2 === 1 && i < length; i += 1) {
      const column = Math.floor((at + i) / height);
      pixels[(at + i - column * height) * width + column] = 1;
    }
    at += length;
  });
  return { height, width, pixels };
}
