'use strict';
/* Maps: for each row the columns it keeps and their weights in 1/65535. */

const FULL = 65535; // a weight of 1

function unpack(map, rows) {
  if (map.start) return map;
  const text = atob(map.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const numbers = new Uint16Array(bytes.buffer);
  map.start = new Uint32Array(rows + 1);
  for (let r = 0; r < rows; r++) map.start[r + 1] = map.start[r] + numbers[r];
  const n = map.start[rows];
  map.column = numbers.subarray(rows, rows + n);
  map.value = numbers.subarray(rows + n, rows + 2 * n);
  map.data = null;
  return map;
}

function meanOf(maps, rows, columns) {
  const sum = new Float64Array(columns), start = new Uint32Array(rows + 1), column = [], value = [];
  for (let r = 0; r < rows; r++) {
    sum.fill(0);
    for (const m of maps)
      for (let i = m.start[r]; i < m.start[r + 1]; i++) sum[m.column[i]] += m.value[i] / maps.length;
    for (let c = 0; c < columns; c++) {
      const v = Math.round(sum[c]);
      if (v === 0) continue;
      column.push(c);
      value.push(v);
    }
    start[r + 1] = column.length;
  }
  const entropy = maps.reduce((total, m) => total + m.entropy, 0) / maps.length; // of its heads
  return {start, column: Uint16Array.from(column), value: Uint16Array.from(value), entropy};
}

/* The weight that is drawn with full ink. Of many words none gets much: then what nine of ten rows give at most. */
function fullInk(map, columns) {
  if (columns <= 60) return 1;
  if (map.full) return map.full;
  const most = [];
  for (let r = 0; r + 1 < map.start.length; r++) {
    let largest = 0;
    for (let i = map.start[r]; i < map.start[r + 1]; i++) largest = Math.max(largest, map.value[i]);
    most.push(largest / FULL);
  }
  most.sort((a, b) => a - b);
  map.full = most[Math.floor(0.9 * (most.length - 1))] || 1;
  return map.full;
}

/* The weight of one cell; 0 too where it was not kept. */
function weightAt(map, row, column) {
  let low = map.start[row], high = map.start[row + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (map.column[middle] < column) low = middle + 1;
    else high = middle;
  }
  return low < map.start[row + 1] && map.column[low] === column ? map.value[low] / FULL : 0;
}

function rowOf(map, row) {
  const found = [];
  for (let i = map.start[row]; i < map.start[row + 1]; i++) found.push([map.column[i], map.value[i] / FULL]);
  return found;
}

function columnOf(map, column) {
  const found = [];
  for (let r = 0; r + 1 < map.start.length; r++) {
    const w = weightAt(map, r, column);
    if (w > 0) found.push([r, w]);
  }
  return found;
}

/* Cells too small to be drawn one by one: of those that share a dot the largest shows. Cell (r,c) begins at
   dot (c * cell - left, r * cell - top). */
function paintDots(map, full, cell, left, top, width, height) {
  const image = new ImageData(width, height), ground = rgb(theme.cell), ink = rgb(theme.ink);
  const most = new Uint16Array(width * height), rows = map.start.length - 1;
  for (let r = Math.max(0, Math.floor(top / cell)); r < rows && r * cell < top + height; r++) {
    const y0 = Math.max(0, Math.floor(r * cell - top)), y1 = Math.min(height, Math.max(y0 + 1, Math.floor((r + 1) * cell - top)));
    for (let i = map.start[r]; i < map.start[r + 1]; i++) {
      const x = map.column[i] * cell - left;
      if (x + cell < 0 || x >= width) continue;
      const x0 = Math.max(0, Math.floor(x)), x1 = Math.min(width, Math.max(x0 + 1, Math.floor(x + cell)));
      for (let y = y0; y < y1; y++)
        for (let k = y * width + x0; k < y * width + x1; k++)
          if (map.value[i] > most[k]) most[k] = map.value[i];
    }
  }
  for (let k = 0; k < most.length; k++) {
    const w = Math.min(1, most[k] / FULL / full);
    for (let j = 0; j < 3; j++) image.data[4 * k + j] = ground[j] + (ink[j] - ground[j]) * w;
    image.data[4 * k + 3] = 255;
  }
  return image;
}
