/* The page of a picture: a photo under the weights of its patches. Reads what overlay_page.c writes. */

const data = JSON.parse(document.getElementById('data').textContent);
const patches = data.down * data.across, tokens = patches + data.first;
const RAMP = [[20, 24, 82], [98, 30, 128], [196, 54, 86], [246, 138, 44], [252, 232, 120]];
let drawn = 0;
const state = {map: 0, over: -1, held: data.query, view: 'colours'};

function make(parent, tag, properties, text) {
  const e = parent.appendChild(document.createElement(tag));
  Object.assign(e, properties);
  if (text !== undefined) e.textContent = text;
  return e;
}

function rampAt(w) {
  const at = Math.min(1, Math.max(0, w)) * (RAMP.length - 1), below = Math.min(RAMP.length - 2, Math.floor(at));
  return RAMP[below].map((v, c) => Math.round(v + (at - below) * (RAMP[below + 1][c] - v)));
}

/* What a token gives to each patch, 0 ... 1 of all. */
function patchesOf(map, token) {
  const row = new Float64Array(patches);
  for (const [column, w] of rowOf(map, token)) if (column >= data.first) row[column - data.first] = w;
  return row;
}

/* Without a class token, and with nothing asked, what all patches give, as pooling weighs them. */
function rowFor(map, patch) {
  if (patch >= 0) return patchesOf(map, patch + data.first);
  if (data.first) return patchesOf(map, 0);
  const sum = new Float64Array(patches);
  for (let t = 0; t < tokens; t++) {
    const share = data.pooling ? data.pooling[t] : 1 / tokens;
    patchesOf(map, t).forEach((w, i) => { sum[i] += w * share; });
  }
  return sum;
}

function paint(canvas, row, cover) {
  const g = canvas.getContext('2d'), image = new ImageData(data.across, data.down);
  const most = Math.max(...row) || 1;
  row.forEach((w, i) => {
    const part = w / most;
    image.data.set(state.view === 'brightness' && cover ? [0, 0, 0] : rampAt(part), 4 * i);
    image.data[4 * i + 3] = 255 * (cover ? (state.view === 'brightness' ? 1 - part : 0.38 + 0.3 * part) : 1);
  });
  const small = document.createElement('canvas');
  small.width = data.across;
  small.height = data.down;
  small.getContext('2d').putImageData(image, 0, 0);
  g.imageSmoothingEnabled = cover && state.view === 'colours';
  g.imageSmoothingQuality = 'high';
  g.drawImage(small, 0, 0, canvas.width, canvas.height);
  return most;
}

const name = map => map.label || 'layer ' + map.layer + ', head ' + map.head;
const place = patch => (patch % data.across) + ', ' + Math.floor(patch / data.across);

function drawPhoto() {
  const g = photo.getContext('2d'), asked = state.over >= 0 ? state.over : state.held;
  g.clearRect(0, 0, photo.width, photo.height);
  g.drawImage(picture, 0, 0, photo.width, photo.height);
  const map = state.view === 'likeness' ? data.likeness : data.maps[state.map];
  const row = rowFor(map, asked);
  let most = 0;
  if (state.view !== 'photo') {
    const kept = state.view;
    if (state.view === 'likeness') state.view = 'colours';
    most = paint(photo, row, true);
    state.view = kept;
  }
  if (asked >= 0) {
    const w = photo.width / data.across, h = photo.height / data.down;
    const box = [asked % data.across * w, Math.floor(asked / data.across) * h, w, h];
    g.lineWidth = 5;
    g.strokeStyle = '#000';
    g.strokeRect(...box);
    g.lineWidth = 2.5;
    g.strokeStyle = '#fff';
    g.strokeRect(...box);
  }
  const who = asked >= 0 ? 'Patch ' + place(asked) : data.first ? 'The class token' : (data.pooling ? 'Pooling' : 'All patches, on the average,');
  const best = row.indexOf(Math.max(...row));
  const seen = row.reduce((sum, w) => sum + w, 0);
  told.textContent = state.view === 'likeness'
    ? who + ': the regions most like it, by the cosine of what the last layer made of them, less their mean.'
    : who + ' in ' + name(map) + ': most on patch ' + place(best) + ' (' + (100 * row[best]).toFixed(1) + ' %)'
      + (data.first ? '; ' + (100 * seen).toFixed(0) + ' % on patches, the rest on the class token.' : '.');
  scale.textContent = (100 * most).toFixed(1) + ' %';
  document.documentElement.dataset.drawn = ++drawn;
}

function drawHeads() {
  for (const [i, button] of buttons.entries()) {
    button.setAttribute('aria-pressed', String(i === state.map));
    const canvas = button.querySelector('canvas');
    if (canvas) paint(canvas, rowFor(data.maps[i], state.held), false);
  }
  for (const b of document.querySelectorAll('.views button'))
    b.setAttribute('aria-pressed', String(b.dataset.view === state.view));
}

function draw() {
  drawPhoto();
  drawHeads();
}

/* --- The page's parts ------------------------------------------------------------------------- */

make(document.body, 'h1', {}, data.title);
const sides = make(document.body, 'div', {className: 'sides'});
const left = make(sides, 'div', {className: 'photo'}), right = make(sides, 'div', {className: 'side'});
const photo = make(left, 'canvas', {tabIndex: 0, ariaLabel: 'The picture under the weights of its patches'});
photo.width = 1000;
photo.height = Math.max(1, Math.round(1000 * data.height / data.width));
const told = make(left, 'p', {className: 'state'});
const tools = make(left, 'div', {className: 'tools views'});
const legend = make(tools, 'span', {className: 'legend'}, '0');
make(legend, 'i', {className: 'ramp'}).style.background =
  'linear-gradient(to right,' + RAMP.map(c => 'rgb(' + c + ')').join(',') + ')';
const scale = make(legend, 'span', {});
const views = [['colours', 'colours'], ['brightness', 'brightness'], ['photo', 'photo alone']];
if (data.likeness) views.push(['likeness', 'regions alike']);
for (const [view, text] of views) {
  const b = make(tools, 'button', {type: 'button', onclick: () => { state.view = view; draw(); }}, text);
  b.dataset.view = view;
}
make(left, 'p', {className: 'small'}, 'Point at a patch to see where it looks; click to hold it, click it again to let go.');

if (data.answers.length) {
  make(right, 'h2', {}, 'What the model says');
  const list = make(right, 'ul', {className: 'answers'});
  for (const a of data.answers) {
    const item = make(list, 'li', {});
    make(item, 'bdi', {title: a.label}, a.label);
    make(make(item, 'span', {className: 'bar'}), 'i', {}).style.width = 100 * a.probability + '%';
    make(item, 'span', {className: 'weight'}, (100 * a.probability).toFixed(1) + ' %');
  }
}
make(right, 'h2', {}, 'Layers and heads');
const others = make(right, 'div', {className: 'others'}), heads = make(right, 'div', {className: 'heads'});
const columns = Math.max(1, ...data.maps.map(m => m.label ? 0 : m.head + 1));
heads.style.gridTemplateColumns = 'max-content repeat(' + columns + ', max-content)';
const buttons = [];
let layer = -1;
for (const [i, map] of data.maps.entries()) {
  unpack(map, tokens);
  const choose = () => { state.map = i; draw(); };
  if (map.label) {
    buttons.push(make(others, 'button', {type: 'button', onclick: choose}, map.label));
    continue;
  }
  if (map.layer !== layer) {
    layer = map.layer;
    make(heads, 'span', {className: 'small'}, 'layer ' + layer).style.gridColumn = 1;
  }
  const b = make(heads, 'button', {className: 'head', type: 'button', onclick: choose, title: name(map)});
  b.style.gridColumn = map.head + 2;
  const small = make(b, 'canvas', {});
  small.width = 48;
  small.height = Math.max(8, Math.round(48 * data.height / data.width));
  buttons.push(b);
}
if (data.likeness) unpack(data.likeness, tokens);
make(document.body, 'footer', {}, data.caption);

function patchAt(event) {
  const box = photo.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * data.across);
  const y = Math.floor((event.clientY - box.top) / box.height * data.down);
  return x >= 0 && y >= 0 && x < data.across && y < data.down ? y * data.across + x : -1;
}

photo.addEventListener('pointermove', event => { state.over = patchAt(event); drawPhoto(); });
photo.addEventListener('pointerleave', () => { state.over = -1; drawPhoto(); });
photo.addEventListener('click', event => {
  const patch = patchAt(event);
  state.held = patch === state.held ? -1 : patch;
  draw();
});
photo.addEventListener('keydown', event => {
  const steps = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -data.across, ArrowDown: data.across};
  if (event.key === 'Escape') state.held = -1;
  else if (event.key in steps) state.held = Math.min(patches - 1, Math.max(0, state.held + steps[event.key]));
  else return;
  event.preventDefault();
  draw();
});
const picture = new Image();
picture.onload = draw;
picture.src = data.photo;
