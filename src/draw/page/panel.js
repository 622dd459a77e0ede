/* One model: which head, the two views of it, the answer in words. */

const THUMB = 40;  // side of a head's small picture
const ANSWERS = 8; // words in the list
const KINDS = {
  cross: ['Cross: target looks at source', 'target words', 'source words'],
  encoder: ['Encoder: source looks at source', 'source words', 'source words'],
  decoder: ['Decoder: target looks at what came before', 'target words', 'target words'],
  class: ['Class: which words decided it', 'measures', 'words'],
};

class Panel {
  constructor(parent, model, name) {
    this.model = model;
    this.name = name; // in the fragment: a or b
    this.pick = data.pick || 'all';
    this.root = make(parent, 'section', {className: 'panel', id: name});
    make(this.root, 'h2', {}, model.name);
    make(this.root, 'p', {className: 'said', dir: 'auto'}, model.source);
    if (model.target) make(this.root, 'p', {className: 'said', dir: 'auto'}, model.target);
    this.missing = make(this.root, 'p', {hidden: true});
    this.body = make(this.root, 'div');
    this.heads = make(this.body, 'div', {className: 'heads'});
    this.others = make(this.body, 'div', {className: 'others'});
    this.note = make(this.body, 'p', {className: 'small'}, 'Rows are layers, columns heads; the number is the entropy in bits, ' +
      'the mean over all words: 0 where each looks at one word only.');
    this.tools = make(this.body, 'div', {className: 'tools'});
    this.status = make(this.tools, 'strong', {className: 'status'});
    const label = make(this.tools, 'label', {}, 'zoom');
    this.zoom = make(label, 'input', {type: 'range', min: 0, max: 100, value: 0});
    this.zoom.addEventListener('input', () => this.draw());
    const legend = make(this.tools, 'span', {className: 'legend'});
    make(legend, 'span', {}, '0');
    make(legend, 'i');
    this.most = make(legend, 'span');
    this.copy = make(this.tools, 'button', {className: 'copy'}, 'Copy weights as JSON');
    this.copy.addEventListener('click', () => this.copyWeights());
    const stage = make(this.body, 'div', {className: 'stage'});
    this.lines = new LinesView(this, stage, 'lines');
    this.matrix = new MatrixView(this, stage, 'matrix');
    this.answer = make(this.body, 'div', {className: 'answer'});
    this.answer.setAttribute('aria-live', 'polite');
  }

  key(event) {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (event.key === 'Escape') {
      state.pinned = false;
      look(this, null);
    } else if (step && this.sheet) {
      const f = this.focus() || {side: 'row', index: step > 0 ? -1 : 1};
      const words = this.words(f.side);
      const index = Math.min(words.length - 1, Math.max(0, f.index + step));
      state.pinned = true;
      look(this, {side: f.side, index, other: -1});
      this.reveal();
      event.preventDefault();
    }
  }

  words(side) {
    return side === 'row' ? this.sheet.rows : this.sheet.columns;
  }

  /* The word in question, as this panel knows it: another model may number its words otherwise. */
  focus() {
    const word = state.word;
    if (!word || !this.sheet) return null;
    const words = this.words(word.side);
    if (word.panel === this) return word;
    if (words[word.index] === word.text) return {side: word.side, index: word.index, other: -1};
    let best = -1;
    words.forEach((w, i) => {
      if (w === word.text && (best < 0 || Math.abs(i - word.index) < Math.abs(best - word.index))) best = i;
    });
    return best < 0 ? null : {side: word.side, index: best, other: -1};
  }

  maps(layer) {
    const {maps, rows} = this.sheet;
    return maps.filter(m => m.label === undefined && (layer === undefined || m.layer === layer))
      .map(m => unpack(m, rows.length));
  }

  /* What is picked, as a map and in words. */
  choose() {
    const {maps, rows, columns, means} = this.sheet, [layer, head] = this.pick.split('.').map(Number);
    const other = /^m(\d+)$/.exec(this.pick);
    let found, title;
    if (other) {
      found = maps.filter(m => m.label !== undefined)[other[1]];
      title = found && found.label;
    } else if (head !== undefined) {
      found = maps.find(m => m.label === undefined && m.layer === layer && m.head === head);
      title = 'layer ' + layer + ', head ' + head;
    } else if (layer >= 0 && this.maps(layer).length > 0) {
      found = means[layer] = means[layer] || meanOf(this.maps(layer), rows.length, columns.length);
      title = 'layer ' + layer + ', mean of its heads';
    }
    if (!found && maps.every(m => m.label !== undefined)) { // no heads to pick from
      found = maps[0];
      title = found.label;
    }
    if (!found) {
      this.pick = 'all';
      found = means.all = means.all || meanOf(this.maps(), rows.length, columns.length);
      title = 'mean of all layers and heads';
    }
    this.map = unpack(found, rows.length);
    this.full = fullInk(this.map, columns.length);
    this.title = title;
  }

  show() {
    this.sheet = this.model.sheets.find(s => s.kind === state.kind);
    this.body.hidden = !this.sheet;
    this.missing.hidden = Boolean(this.sheet);
    this.missing.textContent = 'This model has no such attention.';
    if (!this.sheet) return;
    this.sheet.means = this.sheet.means || {};
    this.choose();
    if (this.headsOf !== this.sheet) this.buildHeads();
    for (const b of this.root.querySelectorAll('[data-pick]'))
      b.setAttribute('aria-pressed', b.dataset.pick === this.pick);
    const looks = state.kind !== 'class';
    this.note.hidden = !looks;
    this.status.textContent = !looks ? this.title : this.title + ' \u00b7 entropy ' + this.map.entropy.toFixed(2) + ' bits' +
      (this.map.label === undefined && this.map.head === undefined ? ' a head' : '');
    this.most.textContent = this.full === 1 ? '1' : this.full.toPrecision(2) + ' and more';
    this.root.dataset.kind = state.kind;
    this.root.dataset.pick = this.pick;
    const [, from, to] = KINDS[state.kind];
    for (const view of [this.lines, this.matrix]) {
      view.names.textContent = '';
      const lines = view === this.lines && looks;
      make(view.names, 'span', {}, lines ? from + ' look' : view === this.lines ? from : from + ' down');
      make(view.names, 'span', {}, lines ? 'at ' + to : view === this.lines ? to : to + ' across');
    }
    this.draw();
  }

  button(parent, className, pick, text) {
    const b = make(parent, 'button', {className}, text);
    b.dataset.pick = pick;
    b.addEventListener('click', () => {
      this.pick = pick;
      refresh();
    });
    return b;
  }

  buildHeads() {
    const maps = this.sheet.maps, heads = maps.filter(m => m.label === undefined);
    const across = Math.max(0, ...heads.map(m => m.head)) + 1;
    this.headsOf = this.sheet;
    this.heads.textContent = this.others.textContent = '';
    this.heads.style.gridTemplateColumns = 'auto repeat(' + across + ', auto)';
    if (heads.length > 0) {
      this.button(this.heads, '', 'all', 'mean of all');
      for (let h = 0; h < across; h++) make(this.heads, 'span', {className: 'column-name'}, 'head ' + h);
    }
    const side = across > 8 ? THUMB / 2 : THUMB, work = [];
    let layer = -1;
    for (const m of heads) {
      if (m.layer !== layer) this.button(this.heads, '', String(m.layer), 'layer ' + m.layer).style.gridColumn = 1;
      layer = m.layer;
      const b = this.button(this.heads, 'head', m.layer + '.' + m.head);
      b.style.gridColumn = m.head + 2;
      b.title = 'layer ' + m.layer + ', head ' + m.head + ': entropy ' + m.entropy.toFixed(2) + ' bits';
      const c = make(b, 'canvas', {width: side, height: side});
      make(b, 'span', {}, m.entropy.toFixed(1));
      work.push(() => this.drawThumb(m, c));
    }
    if (heads.length > 0) maps.filter(m => m.label !== undefined).forEach((m, i) => this.button(this.others, '', 'm' + i, m.label));
    this.thumbs = work.slice();
    inSlices(work);
  }

  drawThumb(map, canvas) {
    const {rows, columns} = this.sheet, side = canvas.width;
    const longest = Math.max(rows.length, columns.length);
    const width = Math.max(1, Math.round(side * columns.length / longest));
    const height = Math.max(1, Math.round(side * rows.length / longest));
    canvas.width = width;
    canvas.height = height;
    canvas.getContext('2d').putImageData(paintDots(unpack(map, rows.length), fullInk(map, columns.length), side / longest, 0, 0, width, height), 0, 0);
  }

  draw() {
    if (!this.sheet || !this.map) return;
    this.lines.draw();
    this.matrix.draw();
    this.drawAnswer();
  }

  drawAnswer() {
    const f = this.focus(), {rows, columns} = this.sheet;
    this.answer.textContent = '';
    this.root.dataset.word = f ? f.side + '.' + f.index : '';
    if (!f) {
      make(this.answer, 'p', {className: 'small'}, 'Hover over a word to see where it looks; click to hold it, Escape to let go; ' +
        'arrow keys go on.');
      return;
    }
    const looks = f.side === 'row', all = looks ? rowOf(this.map, f.index) : columnOf(this.map, f.index);
    const p = make(this.answer, 'p');
    make(p, 'bdi', {}, shown((looks ? rows : columns)[f.index]));
    p.append(state.kind === 'class' ? ':' : looks ? ' looks at:' : ' is looked at by:');
    const list = make(this.answer, 'ol'), best = all.sort((a, b) => b[1] - a[1]).slice(0, ANSWERS);
    for (const [i, weight] of best) {
      const li = make(list, 'li');
      make(li, 'bdi', {}, shown((looks ? columns : rows)[i]));
      make(make(li, 'span', {className: 'bar'}), 'i').style.width = 100 * weight + '%';
      make(li, 'span', {className: 'weight'}, weight.toFixed(3));
      li.addEventListener('click', () => this.lines.reveal(i));
    }
    const said = best.reduce((sum, [, weight]) => sum + weight, 0);
    const rest = looks && state.kind !== 'class' && best.length > 0 ? 1 - said : 0, number = columns.length - best.length;
    if (rest > 0.0005)
      make(this.answer, 'p', {className: 'small'}, 'and ' + rest.toFixed(3) + ' at ' + number + ' other ' + (number === 1 ? 'word' : 'words'));
  }

  /* Scrolls to the word in question, but not the view that was clicked. */
  reveal(clicked) {
    const f = this.focus();
    if (f && clicked !== this.lines) this.lines.reveal(f.index);
    if (f && clicked !== this.matrix) this.matrix.reveal(f);
  }

  weights() {
    const {rows, columns} = this.sheet, m = this.model;
    const all = {model: m.name, source: m.source, target: m.target, kind: state.kind, map: this.title, rows, columns};
    const round = w => Math.round(w * 1e5) / 1e5, entries = [];
    if (rows.length * columns.length <= 250000) {
      all.weights = rows.map((_, r) => {
        const line = new Array(columns.length).fill(0);
        for (const [c, w] of rowOf(this.map, r)) line[c] = round(w);
        return line;
      });
    } else {
      for (let r = 0; r < rows.length; r++) for (const [c, w] of rowOf(this.map, r)) entries.push([r, c, round(w)]);
      all.entries = entries; // [row, column, weight]: the largest of each row
    }
    return JSON.stringify(all);
  }

  async copyWeights() {
    const text = this.weights();
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch (refused) {
      const area = make(this.body, 'textarea', {value: text, readOnly: true});
      area.select();
      done = document.execCommand('copy');
      if (done) area.remove(); // else it stays, to be copied by hand
    }
    this.copy.textContent = done ? 'Copied ' + text.length + ' characters' : 'Copy the text below';
    setTimeout(() => { this.copy.textContent = 'Copy weights as JSON'; }, 2500);
  }
}
