/* The matrix: words that look downwards, words that are looked at across. */

const LABEL_MOST = 130; // pixels of a word
// Sides of cells: the largest; words beside them from here on; numbers in them; below the last, dots are painted.
const CELL_MOST = 34, CELL_WORDS = 11, CELL_NUMBERS = 27, CELL_PIXELS = 5;

class MatrixView extends View {
  /* Where labels, heads and cells lie; a cell of at least CELL_WORDS pixels has words beside it. */
  measure() {
    const {sheet} = this.panel, {rows, columns} = sheet, room = this.box.clientWidth || 400;
    const g = this.canvas.getContext('2d');
    g.font = font(13);
    sheet.rowWidth = sheet.rowWidth || widest(g, rows, LABEL_MOST) + 12;
    sheet.columnWidth = sheet.columnWidth || widest(g, columns, LABEL_MOST);
    const fitting = Math.min(CELL_MOST, (room - sheet.rowWidth - 0.6 * sheet.columnWidth - 4) / columns.length);
    const small = columns.length > 150 ? (room - 8) / columns.length : Math.max(fitting, CELL_WORDS + 1);
    const cell = small * Math.pow(Math.max(1, CELL_MOST / small), this.panel.zoom.value / 100), words = cell >= CELL_WORDS;
    this.panel.zoom.parentNode.hidden = small > 0.9 * CELL_MOST;
    return {cell, words, size: Math.min(13, 0.76 * cell), label: words ? sheet.rowWidth : 4,
            head: words ? 0.78 * sheet.columnWidth + 16 : 4, lean: words ? 0.71 * sheet.columnWidth : 4};
  }

  at(x, y) {
    const {rows, columns} = this.panel.sheet, at = this.place, box = this.box;
    const row = Math.floor((y + box.scrollTop - at.head) / at.cell), column = Math.floor((x + box.scrollLeft - at.label) / at.cell);
    if (row >= rows.length || column >= columns.length || (y < at.head && x < at.label)) return null;
    if (y < at.head && column >= 0) return {side: 'column', index: column, other: -1};
    return row >= 0 ? {side: 'row', index: row, other: x < at.label || column < 0 ? -1 : column} : null;
  }

  /* A word's row or column, where its largest weight is. */
  reveal(f) {
    const {map} = this.panel, all = f.side === 'row' ? rowOf(map, f.index) : columnOf(map, f.index);
    const best = all.reduce((a, b) => b[1] > a[1] ? b : a, [0, 0])[0], {cell} = this.place;
    const [row, column] = f.side === 'row' ? [f.index, best] : [best, f.index];
    this.bring(column * cell, row * cell, Math.max(cell, 10));
  }

  draw() {
    const {rows, columns} = this.panel.sheet, f = this.panel.focus(), p = this.place = this.measure();
    const view = this.begin(p.label + columns.length * p.cell + p.lean, p.head + rows.length * p.cell + 6);
    view.g.drawImage(this.paintedCells(view, p), 0, 0, view.w, view.h);
    if (f) this.drawCross(view, p, f);
    if (p.words) this.drawLabels(view, p, f);
  }

  /* All visible cells, painted again only when there are others: a hover need not. */
  paintedCells(view, p) {
    const {map, full} = this.panel, c = this.cells = this.cells || document.createElement('canvas');
    const key = [p.cell, view.w, view.h, view.dots, view.left, view.top, theme.ink].join();
    if (this.painted === map && this.key === key) return c;
    this.painted = map;
    this.key = key;
    c.width = this.canvas.width;
    c.height = this.canvas.height;
    const g = c.getContext('2d');
    g.setTransform(view.dots, 0, 0, view.dots, 0, 0);
    if (p.cell < CELL_PIXELS) this.paintSmallCells(g, view, p, map, full);
    else this.paintCells(g, view, p, map, full);
    return c;
  }

  paintSmallCells(g, {w, h, dots, left, top}, p, map, full) {
    const {rows, columns} = this.panel.sheet;
    const width = Math.floor(Math.min(w - p.label, columns.length * p.cell - left) * dots);
    const height = Math.floor(Math.min(h - p.head, rows.length * p.cell - top) * dots);
    if (width < 1 || height < 1) return;
    const image = paintDots(map, full, p.cell * dots, left * dots, top * dots, width, height);
    g.putImageData(image, p.label * dots, p.head * dots);
  }

  paintCells(g, {w, h, left, top}, {cell, label, head}, map, full) {
    const {rows, columns} = this.panel.sheet, side = cell - (cell > 8 ? 2 : 1);
    const c0 = Math.max(0, Math.floor(left / cell)), c1 = Math.min(columns.length, Math.ceil((left + w - label) / cell));
    const r1 = Math.min(rows.length, Math.ceil((top + h - head) / cell));
    g.font = font(Math.min(12, Math.round(0.38 * cell)));
    for (let r = Math.max(0, Math.floor(top / cell)); r < r1; r++) {
      const y = head + r * cell - top;
      g.globalAlpha = 1;
      g.fillStyle = theme.cell;
      for (let c = c0; c < c1; c++) g.fillRect(label + c * cell - left, y, side, side);
      for (let i = map.start[r]; i < map.start[r + 1]; i++) {
        const c = map.column[i], weight = map.value[i] / FULL, x = label + c * cell - left;
        if (c < c0 || c >= c1) continue;
        const ink = Math.min(1, weight / full);
        g.globalAlpha = ink;
        g.fillStyle = theme.ink;
        g.fillRect(x, y, side, side);
        if (cell < CELL_NUMBERS || weight < 0.005) continue;
        g.globalAlpha = 1;
        g.fillStyle = ink > 0.55 ? theme['on-ink'] : theme.text;
        drawWord(g, weight.toFixed(2).replace(/^0/, ''), x + side / 2, y + side / 2 + 1, cell, 'center');
      }
    }
  }

  /* The row and the column in question, and what they are when no words stand beside them. */
  drawCross({g, w, h, left, top}, p, f) {
    const {rows, columns} = this.panel.sheet, {cell, label, head} = p;
    const row = f.side === 'row' ? f.index : -1, column = f.side === 'column' ? f.index : f.other;
    const x = label + column * cell - left, y = head + row * cell - top;
    g.globalAlpha = cell < 3 ? 0.5 : 1;
    g.strokeStyle = g.fillStyle = theme.mark;
    g.lineWidth = 1.5;
    const mark = (mx, my, mw, mh) => cell < 3 ? g.fillRect(mx, my, Math.max(2, mw), Math.max(2, mh)) : g.strokeRect(mx - 1, my - 1, mw, mh);
    if (row >= 0) mark(label - left, y, columns.length * cell, cell);
    if (column >= 0) mark(x, head - top, cell, rows.length * cell);
    g.globalAlpha = 1;
    if (p.words) return;
    const text = (row >= 0 ? shown(rows[row]) : '') + (column >= 0 ? ' \u2192 ' + shown(columns[column]) : '');
    g.font = font(13);
    const width = Math.min(w - 8, g.measureText(text).width + 12);
    const tx = Math.min(Math.max(4, (column >= 0 ? x : label) + 10), w - width - 4);
    const ty = Math.min(Math.max(4, (row >= 0 ? y : head) - 30), h - 26);
    g.fillStyle = theme.marked;
    g.fillRect(tx, ty, width, 22);
    g.fillStyle = theme.text;
    drawWord(g, text, tx + 6, ty + 11, width - 10, 'left');
  }

  drawLabels({g, w, h, left, top}, p, f) {
    const {rows, columns} = this.panel.sheet, {cell, label, head} = p;
    g.globalAlpha = 1;
    g.fillStyle = theme.ground;
    g.fillRect(0, 0, w, head);
    g.fillRect(0, 0, label, h);
    g.font = font(p.size);
    g.save();
    g.beginPath();
    g.rect(0, head, label, h - head);
    g.clip();
    for (let r = Math.max(0, Math.floor(top / cell)); r < rows.length && r * cell < top + h; r++) {
      g.fillStyle = f && f.side === 'row' && f.index === r ? theme.mark : theme.text;
      drawWord(g, rows[r], label - 6, head + (r + 0.5) * cell - top, LABEL_MOST, 'right');
    }
    g.restore();
    g.save();
    g.beginPath();
    g.rect(label - 6, 0, w, head);
    g.clip();
    for (let c = Math.max(0, Math.floor(left / cell) - 12); c < columns.length && c * cell < left + w; c++) {
      const marked = f && (f.side === 'column' ? f.index : f.other) === c;
      g.save();
      g.translate(label + (c + 0.5) * cell - left, head - 6);
      g.rotate(-Math.PI / 4);
      g.fillStyle = marked ? theme.mark : theme.text;
      drawWord(g, columns[c], 0, 0, LABEL_MOST, 'left');
      g.restore();
    }
    g.restore();
  }
}
