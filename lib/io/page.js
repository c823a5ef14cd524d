'use strict';

/* Three linked cuts through a volume, and its mean over H. Axes are 0, 1, 2 for D, H, W; voxels are
 * those of the page, bytes (D,H,W); what is said of them counts in the volume's own voxels. */

const element = id => document.getElementById(id);
const about = JSON.parse(element('about').textContent);
const extents = about.extents;
const stride = [extents[1] * extents[2], extents[2], 1];
const at = extents.map(extent => extent >> 1);
const panels = [
  { name: 'B-scan (H, W)', down: 1, right: 2, across: 0 },
  { name: '(H, D)', down: 1, right: 0, across: 2 },
  { name: 'from above (D, W)', down: 0, right: 2, across: 1 },
  { name: 'mean over H (D, W)', down: 0, right: 2, mean: true },
];
const sliders = [];
let voxels, labels;

/* ---- What is gray: level and width of the window, in grays of the page. */

const grays = { level: 127.5, width: 255 };
let opacity = about.opacity;
const colourOf = label => about.palette[(label - 1) % about.palette.length];

/* Colour of every gray, 256 for each of no label and the colours of the palette. */
const table = new Uint32Array(256 * (about.palette.length + 1));

function valueOf(gray) {
  return about.window[0] + gray / 255 * (about.window[1] - about.window[0]);
}

/* Canvas pixels are red, green, blue, opacity in the order of bytes. */
function fillTable() {
  const bytes = new Uint8ClampedArray(table.buffer);
  for (let gray = 0; gray < 256; gray++) {
    const shown = 255 * ((gray - grays.level) / grays.width + 0.5);
    const clamped = Math.min(Math.max(shown, 0), 255);
    for (let colour = 0; colour <= about.palette.length; colour++) {
      const rgb = colour ? about.palette[colour - 1] : [0, 0, 0];
      const share = colour ? opacity : 0;
      rgb.forEach((part, i) => {
        bytes[4 * (256 * colour + gray) + i] = clamped + share * (part - clamped);
      });
      bytes[4 * (256 * colour + gray) + 3] = 255;
    }
  }
}

/* ---- Decoding. */

async function decode(images, say) {
  const [depth, height, width] = extents;
  const data = new Uint8Array(depth * height * width);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  for (let d = 0; d < depth; d++) {
    await images[d].decode();
    context.drawImage(images[d], 0, 0);
    const pixels = context.getImageData(0, 0, width, height).data;
    for (let i = 0, to = d * stride[0]; i < stride[0]; i++) data[to + i] = pixels[4 * i];
    images[d].remove();
    if (d % 16 === 15) say(d + 1);
  }
  return data;
}

/* The mean over H, its 1st to 99th percentile as 0...255. */
function meanOverRows() {
  const [depth, height, width] = extents;
  const mean = new Float32Array(depth * width);
  for (let d = 0; d < depth; d++)
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++) mean[d * width + w] += voxels[(d * height + h) * width + w];
  const sorted = mean.slice().sort();
  const cut = Math.floor((sorted.length - 1) / 100);
  const low = sorted[cut], high = sorted[sorted.length - 1 - cut];
  return Uint8ClampedArray.from(mean, sum => 255 * (sum - low) / Math.max(high - low, 1e-9));
}

/* ---- Drawing. */

function fillCut(panel) {
  const first = at[panel.across] * stride[panel.across];
  const rows = extents[panel.down], columns = extents[panel.right];
  const colours = about.palette.length;
  for (let y = 0, k = 0; y < rows; y++) {
    let i = first + y * stride[panel.down];
    for (let x = 0; x < columns; x++, k++, i += stride[panel.right]) {
      const colour = labels && labels[i] ? (labels[i] - 1) % colours + 1 : 0;
      panel.pixels[k] = table[256 * colour + voxels[i]];
    }
  }
}

function fillMean(panel) {
  panel.mean.forEach((gray, k) => { panel.pixels[k] = 0xff000000 | gray * 0x010101; });
}

function drawCross(panel) {
  const { canvas, context } = panel;
  const x = Math.round((at[panel.right] + 0.5) / extents[panel.right] * canvas.width) + 0.5;
  const y = Math.round((at[panel.down] + 0.5) / extents[panel.down] * canvas.height) + 0.5;
  context.strokeStyle = 'rgba(90, 200, 250, 0.6)';
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, canvas.height);
  context.moveTo(0, y);
  context.lineTo(canvas.width, y);
  context.stroke();
}

function draw(panel) {
  if (panel.mean) fillMean(panel);
  else fillCut(panel);
  panel.source.getContext('2d').putImageData(panel.image, 0, 0);
  panel.context.drawImage(panel.source, 0, 0, panel.canvas.width, panel.canvas.height);
  drawCross(panel);
}

/* Where the middle of a voxel of the page lies among those of the volume. */
const original = axis => Math.floor((at[axis] + 0.5) / extents[axis] * about.shape[axis]);

const short = value => String(Number(value.toPrecision(4)));

let waiting = false;
function show() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    panels.forEach(draw);
    sliders.forEach((slider, axis) => {
      slider.input.value = at[axis];
      slider.output.value = original(axis);
    });
    const i = at.reduce((sum, place, axis) => sum + place * stride[axis], 0);
    const label = labels && labels[i] ? `, ${nameOf(labels[i])}` : '';
    element('value').textContent = `value ${short(valueOf(voxels[i]))}${label}`;
    for (const part of ['level', 'width']) element(part).value = grays[part];
    element('level-value').value = short(valueOf(grays.level));
    element('width-value').value = short(valueOf(grays.width) - valueOf(0));
  });
}

function moveTo(axis, place) {
  at[axis] = Math.min(Math.max(Math.round(place), 0), extents[axis] - 1);
  show();
}

/* ---- Size: one scale for all panels, so that they line up. */

function layOut() {
  const length = about.side.map((side, axis) => side * extents[axis]);
  const wide = document.body.clientWidth - 24, high = Math.max(window.innerHeight - 300, 320);
  const scale = Math.min(wide / (length[2] + length[0]), high / (length[1] + length[0]));
  const dense = window.devicePixelRatio || 1;
  for (const { canvas, right, down } of panels) {
    const width = Math.max(length[right] * scale, 1), height = Math.max(length[down] * scale, 1);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.width = Math.max(Math.round(width * dense), 1);
    canvas.height = Math.max(Math.round(height * dense), 1);
  }
  show();
}

/* ---- Pointer and wheel. */

function setWindow(level, width) {
  grays.level = Math.min(Math.max(level, 0), 255);
  grays.width = Math.min(Math.max(width, 1), 510);
  fillTable();
  show();
}

function follow(panel, event) {
  const box = panel.canvas.getBoundingClientRect();
  if (panel.windowing) {
    setWindow(grays.level + event.movementY / 2, grays.width + event.movementX);
    return;
  }
  moveTo(panel.right, (event.clientX - box.left) / box.width * extents[panel.right] - 0.5);
  moveTo(panel.down, (event.clientY - box.top) / box.height * extents[panel.down] - 0.5);
}

function listen(panel) {
  const { canvas } = panel;
  canvas.addEventListener('pointerdown', event => {
    canvas.setPointerCapture(event.pointerId);
    panel.windowing = event.shiftKey || event.button === 2;
    follow(panel, event);
  });
  canvas.addEventListener('pointermove', event => {
    if (canvas.hasPointerCapture(event.pointerId)) follow(panel, event);
  });
  canvas.addEventListener('contextmenu', event => event.preventDefault());
  canvas.addEventListener('wheel', event => {
    event.preventDefault();
    if (!panel.mean) moveTo(panel.across, at[panel.across] + Math.sign(event.deltaY));
  }, { passive: false });
}

/* ---- The page around the panels. */

function add(parent, name, text) {
  const child = document.createElement(name);
  if (text !== undefined) child.textContent = text;
  return parent.appendChild(child);
}

function makePanel(panel) {
  const figure = add(element('panels'), 'figure');
  panel.canvas = add(figure, 'canvas');
  add(figure, 'figcaption', panel.name);
  panel.context = panel.canvas.getContext('2d');
  panel.image = new ImageData(extents[panel.right], extents[panel.down]);
  panel.pixels = new Uint32Array(panel.image.data.buffer);
  panel.source = new OffscreenCanvas(extents[panel.right], extents[panel.down]);
  if (panel.mean) panel.mean = meanOverRows();
  listen(panel);
}

function makeSliders() {
  ['D', 'H', 'W'].forEach((name, axis) => {
    const label = add(element('place'), 'label', name);
    const input = add(label, 'input');
    Object.assign(input, { type: 'range', min: 0, max: extents[axis] - 1 });
    input.addEventListener('input', () => moveTo(axis, input.valueAsNumber));
    sliders.push({ input, output: add(label, 'output') });
  });
  add(element('place'), 'p').id = 'value';
  element('level').addEventListener('input', event =>
    setWindow(event.target.valueAsNumber, grays.width));
  element('width').addEventListener('input', event =>
    setWindow(grays.level, event.target.valueAsNumber));
  element('reset').addEventListener('click', () => setWindow(127.5, 255));
}

/* A surface is drawn with the label after its index. */
const nameOf = label => about.overlay === 'surfaces' ? `surface ${label - 1}` : `label ${label}`;

function makeLegend() {
  element('overlay-kind').textContent = about.overlay;
  const seen = new Set(labels);
  seen.delete(0);
  for (const label of [...seen].sort((a, b) => a - b)) {
    const item = add(element('legend'), 'li');
    add(item, 'i').style.background = `rgb(${colourOf(label)})`;
    item.append(nameOf(label));
  }
  element('opacity').value = opacity;
  element('opacity').addEventListener('input', event => {
    opacity = event.target.valueAsNumber;
    fillTable();
    show();
  });
  element('overlay').hidden = false;
}

function tell() {
  const { metadata, shape } = about;
  const { history, ...rest } = metadata;
  const reduced = shape.some((extent, axis) => extent !== extents[axis]);
  document.title = element('title').textContent = about.title;
  element('facts').textContent = `${metadata.kind || 'volume'} ${about.type} (${shape.join(', ')})` +
    (metadata.spacing ? `, voxels of ${metadata.spacing.map(short).join(' × ')} mm` : '') +
    (reduced ? `, shown as means on (${extents.join(', ')})` : '');
  for (const stage of history) add(element('stages'), 'li', stage);
  for (const [name, value] of Object.entries(rest)) {
    add(element('metadata'), 'dt', name);
    add(element('metadata'), 'dd', Array.isArray(value) ? value.join(', ') : value);
  }
  element('history').hidden = false;
}

async function start() {
  const slices = [...document.querySelectorAll('img.slice')];
  const overlays = [...document.querySelectorAll('img.label')];
  tell();
  voxels = await decode(slices, done => {
    element('state').textContent = `Decoding… ${done} of ${slices.length} slices`;
  });
  if (overlays.length) {
    labels = await decode(overlays, () => {});
    makeLegend();
  }
  fillTable();
  panels.forEach(makePanel);
  makeSliders();
  element('state').hidden = true;
  for (const id of ['panels', 'controls', 'help']) element(id).hidden = false;
  window.addEventListener('resize', layOut);
  layOut();
}

start().catch(error => { element('state').textContent = `This page cannot be drawn: ${error}`; });
