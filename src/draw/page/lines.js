/* Two columns of words with lines from those that look to those that are looked at. */

const PITCH = 22; // height of a word

class LinesView extends View {
  at(x, y) {
    const side = x < this.canvas.clientWidth / 2 ? 'row' : 'column';
    const index = Math.floor((y + this.box.scrollTop - 6) / PITCH);
    const words = this.panel.words(side);
    return index >= 0 && index < words.length ? {side, index, other: -1} : null;
  }

  reveal(index) {
    this.bring(this.box.scrollLeft + PITCH, index * PITCH + 6, PITCH);
  }

  draw() {
    const {sheet: {rows, columns}, map, full} = this.panel, f = this.panel.focus();
    const {g, w, h, top} = this.begin(1, Math.max(rows.length, columns.length) * PITCH + 12);
    const xl = w * 0.37, xr = w * 0.63, y = i => i * PITCH + PITCH / 2 + 6 - top;
    const first = Math.max(0, Math.floor((top - 6) / PITCH)), last = Math.ceil((top + h) / PITCH);
    const atRow = new Map(), atColumn = new Map();
    g.strokeStyle = theme.ink;
    const line = (r, c, weight) => {
      const ink = Math.min(1, weight / full);
      g.globalAlpha = f ? Math.sqrt(ink) : ink; // the few lines of one word may be plainer
      g.lineWidth = 0.7 + 3 * ink;
      g.beginPath();
      g.moveTo(xl + 6, y(r));
      g.bezierCurveTo((xl + xr) / 2, y(r), (xl + xr) / 2, y(c), xr - 6, y(c));
      g.stroke();
    };
    if (f && f.side === 'row') {
      for (const [c, weight] of rowOf(map, f.index)) {
        line(f.index, c, weight);
        atColumn.set(c, weight);
      }
    } else if (f) {
      for (const [r, weight] of columnOf(map, f.index)) {
        line(r, f.index, weight);
        atRow.set(r, weight);
      }
    } else {
      for (let r = first; r < rows.length && r <= last; r++)
        for (const [c, weight] of rowOf(map, r)) if (weight >= 0.01 * full) line(r, c, weight);
    }
    g.font = font(14);
    this.drawColumn(g, rows, first, last, y, xl, 'right', f && f.side === 'row' ? f.index : -1, atRow);
    this.drawColumn(g, columns, first, last, y, xr, 'left', f && f.side === 'column' ? f.index : -1, atColumn);
  }

  drawColumn(g, words, first, last, y, x, align, focus, weights) {
    const most = x * (align === 'right' ? 1 : 37 / 63) - 8;
    for (let i = first; i < words.length && i <= last; i++) {
      const weight = Math.min(1, (weights.get(i) || 0) / this.panel.full);
      if (i === focus || weight > 0) {
        const width = g.measureText(cut(g, words[i], most)).width + 8;
        g.globalAlpha = i === focus ? 1 : weight;
        g.fillStyle = i === focus ? theme.marked : theme.ink;
        g.fillRect(align === 'right' ? x - width + 4 : x - 4, y(i) - PITCH / 2 + 1, width, PITCH - 2);
      }
      g.globalAlpha = 1;
      g.fillStyle = i === focus ? theme.mark : weight > 0.55 ? theme['on-ink'] : theme.text;
      drawWord(g, words[i], x, y(i), most, align);
    }
  }
}
