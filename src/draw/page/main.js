/* The page of `attend show --html`: who looks at whom, to play with. Plain DOM and canvas, nothing from outside.
   A selection lives in the address's fragment: #kind=cross&a=2.1&b=all&word=row.4 (a and b: the models'
   layer.head, layer, all, or m0, m1 ... for maps that are no head). */

const began = performance.now();
const data = JSON.parse(document.getElementById('data').textContent);
const state = {kind: data.models[0].sheets[0].kind, word: null, pinned: false};

function same(a, b) {
  return a === b || Boolean(a && b && a.panel === b.panel && a.side === b.side && a.index === b.index && a.other === b.other);
}

function look(panel, word) {
  if (word) Object.assign(word, {panel, text: panel.words(word.side)[word.index]});
  if (same(word, state.word)) return;
  state.word = word;
  for (const p of panels) p.draw();
}

/* A click holds the word, so that the pointer may go elsewhere; another on the same word lets it go. */
function hold(panel, word, view) {
  const again = state.pinned && word && state.word && word.side === state.word.side && word.index === state.word.index;
  state.pinned = Boolean(word) && !again;
  look(panel, word);
  for (const p of panels) if (state.pinned && p.sheet) p.reveal(view);
  keep();
}

/* Small pictures are made when there is time, so that the first picture comes at once. */
function inSlices(work) {
  const end = performance.now() + 12;
  while (work.length > 0 && performance.now() < end) work.shift()();
  if (work.length > 0) setTimeout(inSlices, 0, work);
  else document.documentElement.dataset.drawn = Math.round(performance.now() - began);
}

function keep() {
  const parts = ['kind=' + state.kind, ...panels.map(p => p.name + '=' + p.pick)];
  if (state.pinned && state.word) parts.push('word=' + state.word.side + '.' + state.word.index);
  const fragment = '#' + parts.join('&');
  if (fragment !== location.hash) {
    expected = fragment;
    location.replace(fragment);
  }
}

function restore() {
  const wish = new URLSearchParams(location.hash.slice(1));
  if (data.models.some(m => m.sheets.some(s => s.kind === wish.get('kind')))) state.kind = wish.get('kind');
  for (const p of panels) p.pick = wish.get(p.name) || p.pick;
  const [side, index] = (wish.get('word') || '').split('.');
  refresh();
  const at = panels.find(p => p.sheet), words = at && at.words(side);
  if ((side === 'row' || side === 'column') && words && words[index] !== undefined) {
    state.pinned = true;
    look(at, {side, index: Number(index), other: -1});
    at.reveal();
  }
}

function refresh() {
  for (const b of kinds.children) b.setAttribute('aria-pressed', b.dataset.kind === state.kind);
  for (const p of panels) p.show();
  keep();
}

let expected = '';
readTheme();
make(document.body, 'h1', {}, data.title);
const kinds = make(document.body, 'div', {className: 'kinds'});
for (const kind of Object.keys(KINDS)) {
  if (!data.models.some(m => m.sheets.some(s => s.kind === kind))) continue;
  const b = make(kinds, 'button', {}, KINDS[kind][0]);
  b.dataset.kind = kind;
  b.addEventListener('click', () => {
    state.kind = kind;
    state.word = null;
    state.pinned = false;
    refresh();
  });
}
const place = make(document.body, 'div', {className: 'panels'});
const panels = data.models.map((m, i) => new Panel(place, m, 'ab'[i]));
make(document.body, 'footer', {}, data.caption);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  readTheme();
  for (const p of panels) {
    p.draw();
    inSlices((p.thumbs || []).slice());
  }
});
window.addEventListener('hashchange', () => location.hash === expected || restore());
restore();
