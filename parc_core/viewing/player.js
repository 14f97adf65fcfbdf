// The offline scene player: <parc-scene> shows one packed clip, <parc-scenes> several with a chooser.
// All scenes of a page are drawn by one hidden WebGL context and copied into their own 2D canvases.
(() => {
"use strict";
if (customElements.get("parc-scene")) return;

// ---- small mathematics: column-major 4 x 4 matrices, quaternions xyzw
const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const unit = a => { const n = Math.hypot(...a) || 1; return a.map(v => v / n); };
const rotate = (q, v) => {
  const t = cross(q, v).map(x => 2 * x), c = cross(q, t);
  return [v[0] + q[3] * t[0] + c[0], v[1] + q[3] * t[1] + c[1], v[2] + q[3] * t[2] + c[2]];
};
const turn = (a, b) => [
  a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1], a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
  a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3], a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2]];
const pose = (q, p) => [...rotate(q, [1, 0, 0]), 0, ...rotate(q, [0, 1, 0]), 0, ...rotate(q, [0, 0, 1]), 0, ...p, 1];
const times = (a, b) => {
  const out = new Array(16).fill(0);
  for (let c = 0; c < 4; c++) for (let r = 0; r < 4; r++) for (let k = 0; k < 4; k++) out[4 * c + r] += a[4 * k + r] * b[4 * c + k];
  return out;
};
const perspective = (fov, aspect, near, far) => {
  const f = 1 / Math.tan(fov / 2), d = 1 / (near - far);
  return [f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) * d, -1, 0, 0, 2 * far * near * d, 0];
};
const lookAt = (eye, at) => {
  const z = unit(sub(eye, at)), x = unit(cross([0, 0, 1], z)), y = cross(z, x);
  return [x[0], y[0], z[0], 0, x[1], y[1], z[1], 0, x[2], y[2], z[2], 0, -dot(x, eye), -dot(y, eye), -dot(z, eye), 1];
};

// ---- packed numbers, see packing.py
async function unpack(text, rows) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  const n = raw.length / 4, columns = n / rows, out = new Int32Array(n);  // (rows, columns)
  for (let c = 0, i = 0; c < columns; c++) for (let r = 0, sum = 0; r < rows; r++, i++) {
    const v = raw[i] + raw[n + i] * 256 + raw[2 * n + i] * 65536 + raw[3 * n + i] * 16777216;
    out[r * columns + c] = sum += v % 2 ? -(v + 1) / 2 : v / 2;
  }
  return out;
}
const POSITION = 0.0005, ROTATION = 1 / 4095, FORCE = 5, HEIGHT = 0.001;

// ---- drawing
const VERTEX = `
attribute vec3 point, normal; attribute float along; attribute vec3 tint;
uniform mat4 view, model; uniform vec3 scale; uniform float stretch, dotSize; uniform vec3 colour;
varying vec3 n, w, c;
void main() {
  vec4 p = model * vec4(point * scale + vec3(0., 0., along * stretch), 1.);
  n = mat3(model) * (normal / scale); w = p.xyz; c = colour * tint;
  gl_Position = view * p; gl_PointSize = dotSize;
}`;
const FRAGMENT = `
precision mediump float;
uniform float opacity, ground, plain; uniform vec4 feet[16];
varying vec3 n, w, c;
void main() {
  if (plain > .5) { gl_FragColor = vec4(c, 1.) * opacity; return; }
  vec3 m = normalize(n);
  float light = .52 + .16 * m.z + .36 * max(dot(m, normalize(vec3(.45, -.35, .85))), 0.);
  if (ground > .5) for (int i = 0; i < 16; i++) {  // soft shade right below bodies
    vec3 d = w - feet[i].xyz; float up = max(-d.z, 0.), r = .13 + .12 * up;
    light *= 1. - feet[i].w * .16 * exp(-dot(d.xy, d.xy) / (2. * r * r)) * exp(-1.3 * up) * step(d.z, .1);
  }
  gl_FragColor = vec4(c * light, 1.) * opacity;
}`;

function ball() {  // split at its equator: a capsule's halves move apart
  const out = [], at = (i, j) => [Math.sin(i) * Math.cos(j), Math.sin(i) * Math.sin(j), Math.cos(i)];
  const put = (p, e) => out.push(...p, ...p, e);
  const N = 10, M = 20, rings = [];
  for (let k = 0; k <= N; k++) { rings.push([Math.PI * k / N, k <= N / 2 ? 1 : -1]); if (k === N / 2) rings.push([Math.PI / 2, -1]); }
  for (let k = 0; k + 1 < rings.length; k++) for (let m = 0; m < M; m++) {
    const [a, ea] = rings[k], [b, eb] = rings[k + 1], u = 2 * Math.PI * m / M, v = 2 * Math.PI * (m + 1) / M;
    put(at(a, u), ea); put(at(b, u), eb); put(at(b, v), eb); put(at(a, u), ea); put(at(b, v), eb); put(at(a, v), ea);
  }
  return out;
}
function cube() {
  const out = [];
  for (let axis = 0; axis < 3; axis++) for (const s of [-1, 1]) {
    const corner = (a, b) => { const p = []; p[axis] = s; p[(axis + 1) % 3] = a; p[(axis + 2) % 3] = b; return p; };
    const n = [0, 0, 0]; n[axis] = s;
    for (const [a, b] of [[-1, -1], [1, -1], [1, 1], [-1, -1], [1, 1], [-1, 1]]) out.push(...corner(a, b), ...n, 0);
  }
  return out;
}
function tube() {
  const out = [], M = 24;
  for (let m = 0; m < M; m++) {
    const [p, q] = [m, m + 1].map(k => [Math.cos(2 * Math.PI * k / M), Math.sin(2 * Math.PI * k / M)]);
    for (const [v, z] of [[p, -1], [q, -1], [q, 1], [p, -1], [q, 1], [p, 1]]) out.push(...v, z, ...v, 0, 0);
    for (const z of [-1, 1]) for (const v of [[0, 0], p, q]) out.push(...v, z, 0, 0, z, 0);
  }
  return out;
}

class Painter {  // the page's one WebGL context
  constructor() {
    this.canvas = document.createElement("canvas");
    const gl = this.gl = this.canvas.getContext("webgl", {antialias: true, alpha: true, preserveDrawingBuffer: true});
    if (!gl) return;
    const program = this.program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind); gl.shaderSource(shader, source); gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program); gl.useProgram(program);
    this.places = {}; this.inputs = {};
    for (const name of ["view", "model", "scale", "stretch", "dotSize", "colour", "opacity", "ground", "plain", "feet"])
      this.places[name] = gl.getUniformLocation(program, name);
    for (const name of ["point", "normal", "along", "tint"]) this.inputs[name] = gl.getAttribLocation(program, name);
    this.shapes = {ball: this.buffer(ball(), 7), cube: this.buffer(cube(), 7), tube: this.buffer(tube(), 7)};
    this.scratch = {buffer: gl.createBuffer(), stride: 3};
    gl.enable(gl.DEPTH_TEST); gl.depthFunc(gl.LEQUAL); gl.enable(gl.BLEND); gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }
  buffer(numbers, stride) {
    const gl = this.gl, buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(numbers), gl.STATIC_DRAW);
    return {buffer, stride, count: numbers.length / stride};
  }
  free(mesh) { if (mesh) this.gl.deleteBuffer(mesh.buffer); }
  begin(width, height, view) {
    const gl = this.gl;
    if (this.canvas.width !== width || this.canvas.height !== height) { this.canvas.width = width; this.canvas.height = height; }
    gl.viewport(0, 0, width, height); gl.clearColor(0, 0, 0, 0); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix4fv(this.places.view, false, view);
  }
  use(mesh) {  // vertex layouts: point, normal, along (7) | point, normal, tint (9) | point (3)
    const gl = this.gl, i = this.inputs, bytes = 4 * mesh.stride;
    gl.bindBuffer(gl.ARRAY_BUFFER, mesh.buffer);
    const input = (place, size, at) => {
      if (at === null) gl.disableVertexAttribArray(place);
      else { gl.enableVertexAttribArray(place); gl.vertexAttribPointer(place, size, gl.FLOAT, false, bytes, 4 * at); }
    };
    input(i.point, 3, 0); input(i.normal, 3, mesh.stride > 3 ? 3 : null);
    input(i.along, 1, mesh.stride === 7 ? 6 : null); input(i.tint, 3, mesh.stride === 9 ? 6 : null);
    gl.vertexAttrib3f(i.normal, 0, 0, 1); gl.vertexAttrib1f(i.along, 0); gl.vertexAttrib3f(i.tint, 1, 1, 1);
  }
  draw(mesh, {model = pose([0, 0, 0, 1], [0, 0, 0]), scale = [1, 1, 1], stretch = 0, colour = [1, 1, 1], opacity = 1, ground = 0, plain = 0, size = 1, as}) {
    const gl = this.gl, p = this.places;
    this.use(mesh);
    gl.uniformMatrix4fv(p.model, false, model); gl.uniform3fv(p.scale, scale); gl.uniform1f(p.stretch, stretch);
    gl.uniform3fv(p.colour, colour); gl.uniform1f(p.opacity, opacity); gl.uniform1f(p.ground, ground);
    gl.uniform1f(p.plain, plain); gl.uniform1f(p.dotSize, size);
    gl.drawArrays(as === undefined ? gl.TRIANGLES : as, 0, mesh.count);
  }
  loose(points, as, options) {  // few points that change every frame
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.scratch.buffer); gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(points), gl.DYNAMIC_DRAW);
    this.draw({...this.scratch, count: points.length / 3}, {...options, as, plain: 1});
  }
  shade(spots) {
    const feet = new Float32Array(64);
    spots.slice(0, 16).forEach((p, k) => feet.set([...p, 1], 4 * k));
    this.gl.uniform4fv(this.places.feet, feet);
  }
}
let shared = null;
const painter = () => shared || (shared = new Painter());
let known = null;
const character = () => known || (known = JSON.parse(document.getElementById("parc-character").textContent));

// ---- one clip, unpacked: poses at any time
class Clip {
  static async of(packed) {
    const clip = new Clip(), g = packed.ground;
    clip.packed = packed;
    clip.frames = packed.times.frames;
    [clip.data, clip.heights] = await Promise.all([unpack(packed.data, clip.frames), unpack(g.data, g.nx)]);
    clip.columns = clip.data.length / clip.frames;
    const bodies = character().bodies.length;
    let at = 0;
    clip.figures = packed.figures.map(f => {
      const figure = {...f, at}; at += 3 + 4 * bodies;
      if (f.touch) { figure.touchAt = at; at += f.touch === "forces" ? 3 * bodies : bodies; }
      return figure;
    });
    clip.series = packed.series.map(s => ({...s, at: at++}));
    return clip;
  }
  get end() { return this.packed.times.end; }
  timeOf(frame) { return Math.min(frame * this.packed.times.step, this.end); }
  frameAt(time) { return Math.max(0, Math.min(Math.round(time / this.packed.times.step), this.frames - 1)); }
  number(frame, column) { return this.data[frame * this.columns + column]; }
  value(series, frame) { return this.number(frame, series.at) * series.step; }
  bodies(figure, time) {  // places and rotations of all bodies, mixed between the two frames around
    const f = Math.max(0, Math.min(Math.floor(time / this.packed.times.step + 1e-6), this.frames - 1)), g = Math.min(f + 1, this.frames - 1);
    const span = this.timeOf(g) - this.timeOf(f), mix = span > 0 ? Math.max(0, Math.min((time - this.timeOf(f)) / span, 1)) : 0;
    const at = (column, step) => ((1 - mix) * this.number(f, column) + mix * this.number(g, column)) * step;
    const {parents, offsets} = character(), rot = [], pos = [];
    for (let b = 0; b < parents.length; b++) {
      const c = figure.at + 3 + 4 * b, q = [0, 1, 2, 3].map(k => at(c + k, ROTATION)), n = Math.hypot(...q) || 1;
      rot.push(q.map(v => v / n));
      const p = parents[b];
      if (p < 0) pos.push([0, 1, 2].map(k => at(figure.at + k, POSITION)));
      else { const o = rotate(rot[p], offsets[b]); pos.push(pos[p].map((v, k) => v + o[k])); }
    }
    return {pos, rot};
  }
  touch(figure, frame, body) {  // force in N, or a label's [0, 0, 1], or null
    if (!figure.touch) return null;
    if (figure.touch === "contacts") return this.number(frame, figure.touchAt + body) ? [0, 0, 1] : null;
    const f = [0, 1, 2].map(k => this.number(frame, figure.touchAt + 3 * body + k) * FORCE);
    return Math.hypot(...f) > 0 ? f : null;
  }
  height(x, y) {
    const g = this.packed.ground, bound = (v, n) => Math.max(0, Math.min(Math.round(v), n - 1));
    return this.heights[bound((x - g.x) / g.dx, g.nx) * g.ny + bound((y - g.y) / g.dx, g.ny)] * HEIGHT;
  }
  groundMesh() {  // tops, and walls towards lower neighbours and the border
    const g = this.packed.ground, out = [], h = (i, j) => this.heights[i * g.ny + j] * HEIGHT;
    const all = [...this.heights].map(v => v * HEIGHT), low = Math.min(...all), rise = Math.max(Math.max(...all) - low, 1);
    const quad = (a, b, c, d, n, t) => [a, b, c, a, c, d].forEach(p => out.push(...p, ...n, ...t));
    for (let i = 0; i < g.nx; i++) for (let j = 0; j < g.ny; j++) {
      const z = h(i, j), m = (z - low) / rise, check = (i + j) % 2 ? 0.95 : 1;
      const tint = [0.86, 0.88, 0.90].map((v, k) => check * ((1 - m) * v + m * [0.60, 0.71, 0.62][k]));
      const x0 = g.x + (i - 0.5) * g.dx, x1 = x0 + g.dx, y0 = g.y + (j - 0.5) * g.dx, y1 = y0 + g.dx;
      quad([x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z], [0, 0, 1], tint);
      for (const [di, dj, a, b] of [[-1, 0, [x0, y1], [x0, y0]], [1, 0, [x1, y0], [x1, y1]], [0, -1, [x0, y0], [x1, y0]], [0, 1, [x1, y1], [x0, y1]]]) {
        const inside = i + di >= 0 && i + di < g.nx && j + dj >= 0 && j + dj < g.ny, bottom = inside ? h(i + di, j + dj) : low - 0.25;
        if (bottom < z) quad([...a, bottom], [...b, bottom], [...b, z], [...a, z], [di, dj, 0], tint.map(v => 0.93 * v));
      }
    }
    return painter().buffer(out, 9);
  }
}

// ---- the element
const SOLID = [0.95, 0.47, 0.18], GHOST = [0.28, 0.55, 0.90], PUSHED = [0.85, 0.12, 0.16];
const COLOURS = ["#e0701f", "#3b82c4", "#3a9a5b", "#a259c4", "#c2a015", "#c4455b", "#5aa6a6", "#8b7355"];
const make = (tag, parent, options = {}) => Object.assign(parent.appendChild(document.createElement(tag)), options);

// Where the script comes before the scenes, elements are made before what is in them has been read.
const whenRead = act => document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", act, {once: true}) : act();

class ParcScene extends HTMLElement {
  connectedCallback() { whenRead(() => this.start()); }
  start() {
    if (this.seen || !this.isConnected) return;
    this.packed = this.packed || JSON.parse(this.querySelector("script").textContent);
    this.time = +(this.getAttribute("start") || 0); this.speed = 1; this.playing = false; this.shown = false;
    this.show = {reference: true, contacts: true, scan: false, follow: true};
    this.undrawn = new Set(this.packed.series.slice(2).map(s => s.label));  // click a legend to draw its curve
    this.view = {yaw: 0.9, pitch: 0.3, distance: 4.2}; this.tabIndex = 0;
    if (!this.canvas) this.build();
    this.seen = new IntersectionObserver(entries => this.appear(entries[entries.length - 1].isIntersecting));
    this.seen.observe(this);
    new ResizeObserver(() => this.paint()).observe(this.canvas);
  }
  disconnectedCallback() { if (!this.seen) return; this.seen.disconnect(); this.seen = null; this.appear(false); }
  build() {
    this.canvas = make("canvas", this, {className: "parc-view"});
    this.note = make("div", this, {className: "parc-note"});
    const bar = make("div", this, {className: "parc-bar"});
    const button = (text, title, act) => make("button", bar, {type: "button", textContent: text, title, onclick: act});
    this.playButton = button("▶", "play or pause (space)", () => this.play(!this.playing));
    button("‹", "one frame back (←)", () => this.step(-1));
    button("›", "one frame on (→)", () => this.step(1));
    const speed = make("select", bar, {title: "speed", onchange: () => { this.speed = +speed.value; }});
    for (const v of [0.1, 0.25, 0.5, 1, 2]) make("option", speed, {value: v, textContent: `${v}×`, selected: v === 1});
    this.clock = make("output", bar);
    for (const name of Object.keys(this.show)) {
      if (name === "scan" && !character().scan.length) continue;
      if (name === "reference" && !this.packed.figures.some(f => f.ghost)) continue;
      const label = make("label", bar), box = make("input", label, {type: "checkbox", checked: this.show[name]});
      label.append(name); box.onchange = () => { this.show[name] = box.checked; this.paint(); };
    }
    this.line = make("canvas", this, {className: "parc-line"});
    this.legend = make("div", this, {className: "parc-legend"});
    this.handle();
  }
  handle() {
    const scrub = e => { const r = this.line.getBoundingClientRect(); this.play(false); this.seek((e.clientX - r.left) / r.width * this.packed.times.end); };
    this.line.onpointerdown = e => { this.line.setPointerCapture(e.pointerId); scrub(e); };
    this.line.onpointermove = e => { if (e.buttons) scrub(e); };
    const down = new Map();
    this.canvas.onpointerdown = e => { this.canvas.setPointerCapture(e.pointerId); down.set(e.pointerId, [e.clientX, e.clientY]); };
    this.canvas.onpointerup = this.canvas.onpointercancel = e => down.delete(e.pointerId);
    this.canvas.onpointermove = e => {
      const last = down.get(e.pointerId);
      if (!last) return;
      const apart = () => { const [a, b] = [...down.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
      const before = down.size === 2 ? apart() : 0, dx = e.clientX - last[0], dy = e.clientY - last[1];
      down.set(e.pointerId, [e.clientX, e.clientY]);
      if (down.size === 2) this.zoom(before / Math.max(apart(), 1));
      else this.orbit(dx, dy);
    };
    this.canvas.addEventListener("wheel", e => { e.preventDefault(); this.zoom(Math.exp(0.001 * e.deltaY)); }, {passive: false});
    this.onkeydown = e => {
      const act = {" ": () => this.play(!this.playing), ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1)}[e.key];
      if (act && !["BUTTON", "SELECT", "INPUT"].includes(e.target.tagName)) { e.preventDefault(); act(); }
    };
  }
  orbit(dx, dy) { this.view.yaw -= 0.008 * dx; this.view.pitch = Math.max(-0.1, Math.min(this.view.pitch + 0.008 * dy, 1.5)); this.paint(); }
  zoom(by) { this.view.distance = Math.max(1, Math.min(this.view.distance * by, 40)); this.paint(); }
  async appear(visible) {
    this.shown = visible;
    if (visible) {
      this.clip = this.clip || await Clip.of(this.packed);
      if (!this.shown) return;
      if (painter().gl && !this.ground) this.ground = this.clip.groundMesh();
      if (!this.centre) this.centre = this.clip.bodies(this.clip.figures[0], this.time).pos[0];
      this.paint();
    } else { this.play(false); if (this.ground) { painter().free(this.ground); this.ground = null; } this.clip = null; }
  }
  load(packed, start = 0) {  // another clip in the same place
    this.play(false); this.appear(false);
    this.packed = packed; this.time = start; this.centre = null; this.legend.replaceChildren();
    return this.appear(true);
  }
  get frame() { return this.clip ? this.clip.frameAt(this.time) : 0; }
  play(on) {
    this.playing = on && !!this.clip;
    this.playButton.textContent = this.playing ? "❚❚" : "▶";
    if (!this.playing) return;
    if (this.time >= this.clip.end - 1e-6) this.time = 0;
    let last = null;
    const tick = now => {
      if (!this.playing) return;
      if (last !== null) this.time += this.speed * Math.min(now - last, 250) / 1000;
      last = now;
      if (this.time >= this.clip.end) { this.time = this.clip.end; this.play(false); }
      this.paint();
      if (this.playing) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }
  step(by) { this.play(false); if (this.clip) this.seek(this.clip.timeOf(Math.max(0, Math.min(this.frame + by, this.clip.frames - 1)))); }
  seek(time) { this.time = Math.max(0, Math.min(time, this.packed.times.end)); this.paint(); }
  fitted(canvas) {  // drawing size in device pixels
    const ratio = Math.min(window.devicePixelRatio || 1, 2), w = Math.max(1, Math.round(canvas.clientWidth * ratio)), h = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    return [w, h, ratio];
  }
  paint() {
    if (!this.clip || !this.shown) return;
    this.paintScene(); this.paintLine(); this.say();
  }
  paintScene() {
    const [w, h] = this.fitted(this.canvas), flat = this.canvas.getContext("2d"), p = painter();
    if (!p.gl) { this.note.textContent = "this browser has no WebGL, which the scene is drawn with"; return; }
    const poses = this.clip.figures.map(f => this.clip.bodies(f, this.time)), root = poses[0].pos[0];
    if (this.show.follow) this.centre = this.centre.map((v, k) => v + (k === 2 ? 0.1 : 1) * (root[k] - v));
    const {yaw, pitch, distance} = this.view, c = Math.cos(pitch);
    const eye = [Math.sin(yaw) * c, -Math.cos(yaw) * c, Math.sin(pitch)].map((v, k) => this.centre[k] + distance * v);
    p.begin(w, h, times(perspective(0.7, w / h, 0.05, 100), lookAt(eye, this.centre)));
    p.shade(poses[0].pos);
    if (!this.ground) this.ground = this.clip.groundMesh();
    p.draw(this.ground, {ground: 1});
    this.clip.figures.forEach((figure, k) => { if (!figure.ghost) this.paintFigure(figure, poses[k], 1); });
    if (this.show.scan) this.paintScan(poses[0]);
    const gl = p.gl;
    if (this.show.reference) this.clip.figures.forEach((figure, k) => {
      if (!figure.ghost) return;
      gl.colorMask(false, false, false, false); this.paintFigure(figure, poses[k], 1);  // only what is in front
      gl.colorMask(true, true, true, true); this.paintFigure(figure, poses[k], 0.42);
    });
    flat.clearRect(0, 0, w, h); flat.drawImage(p.canvas, 0, 0);
  }
  paintFigure(figure, {pos, rot}, opacity) {
    const p = painter(), frame = this.frame, base = figure.ghost ? GHOST : SOLID;
    for (const shape of character().shapes) {
      const b = shape.body, o = rotate(rot[b], shape.pos), place = pos[b].map((v, k) => v + o[k]), [r, half, third] = shape.size;
      const touched = this.show.contacts && this.clip.touch(figure, frame, b);
      const options = {model: pose(turn(rot[b], shape.quat), place), colour: touched ? PUSHED : base, opacity};
      if (shape.type === "box") p.draw(p.shapes.cube, {...options, scale: [r, half, third]});
      else if (shape.type === "cylinder") p.draw(p.shapes.tube, {...options, scale: [r, r, half]});
      else if (shape.type === "ellipsoid") p.draw(p.shapes.ball, {...options, scale: [r, half, third]});
      else p.draw(p.shapes.ball, {...options, scale: [r, r, r], stretch: shape.type === "capsule" ? half : 0});
    }
    if (figure.touch === "forces" && this.show.contacts) pos.forEach((at, b) => {
      const force = this.clip.touch(figure, frame, b);
      if (force) this.paintForce(at, force);
    });
  }
  paintForce(at, force) {  // 1000 N are 1 m
    const size = Math.hypot(...force), long = Math.min(size / 1000, 1.5), d = force.map(v => v / size);
    const axis = cross([0, 0, 1], d), q = unit([...axis, 1 + d[2]]), p = painter();
    p.draw(p.shapes.tube, {model: pose(Number.isFinite(q[0]) ? q : [1, 0, 0, 0], at.map((v, k) => v + 0.5 * long * d[k])), scale: [0.014, 0.014, 0.5 * long], colour: [0.95, 0.78, 0.12]});
  }
  paintScan({pos, rot}) {
    const x = rotate(rot[0], [1, 0, 0]), yaw = Math.atan2(x[1], x[0]), c = Math.cos(yaw), s = Math.sin(yaw), points = [];
    for (const [a, b] of character().scan) {
      const px = pos[0][0] + c * a - s * b, py = pos[0][1] + s * a + c * b;
      points.push(px, py, this.clip.height(px, py) + 0.015);
    }
    painter().loose(points, painter().gl.POINTS, {colour: [0.15, 0.62, 0.35], size: 4});
  }
  paintLine() {
    const [w, h, ratio] = this.fitted(this.line), g = this.line.getContext("2d"), clip = this.clip, style = getComputedStyle(this);
    const x = t => clip.end > 0 ? t / clip.end * w : 0, ink = style.color;
    g.clearRect(0, 0, w, h);
    g.globalAlpha = 0.22;
    for (const m of clip.packed.marks) { g.fillStyle = m.kind === "lost" ? "#d03030" : "#c08a00"; g.fillRect(x(m.from), 0, Math.max(x(m.to) - x(m.from), 2 * ratio), h); }
    clip.series.forEach((s, k) => {
      if (this.undrawn.has(s.label)) return;
      let top = Math.max(s.limit || 0, 1e-9);
      for (let f = 0; f < clip.frames; f++) top = Math.max(top, Math.abs(clip.value(s, f)));
      const y = v => h - 2 - Math.abs(v) / top * (h - 6);
      g.strokeStyle = COLOURS[k % COLOURS.length]; g.lineWidth = ratio * (k ? 1 : 1.8); g.globalAlpha = k ? 0.75 : 1;
      g.beginPath();
      for (let f = 0; f < clip.frames; f++) g.lineTo(x(clip.timeOf(f)), y(clip.value(s, f)));
      g.stroke();
      if (s.limit) { g.setLineDash([4 * ratio, 4 * ratio]); g.beginPath(); g.moveTo(0, y(s.limit)); g.lineTo(w, y(s.limit)); g.stroke(); g.setLineDash([]); }
    });
    g.globalAlpha = 1; g.fillStyle = ink; g.fillRect(x(this.time) - ratio, 0, 2 * ratio, h);
  }
  say() {
    const clip = this.clip, frame = this.frame, now = clip.packed.marks.filter(m => this.time >= m.from - 1e-3 && this.time <= m.to + 1e-3);
    this.clock.textContent = `${this.time.toFixed(2)} / ${clip.end.toFixed(2)} s`;
    this.note.textContent = [clip.packed.name, ...now.map(m => m.text)].join(" · ");
    this.note.classList.toggle("parc-odd", now.length > 0);
    if (this.legend.childElementCount !== clip.series.length) {
      this.legend.replaceChildren();
      clip.series.forEach((s, k) => {
        const item = make("button", this.legend, {type: "button", title: "draw its curve or not"});
        make("i", item).style.background = COLOURS[k % COLOURS.length]; make("span", item);
        item.onclick = () => { if (!this.undrawn.delete(s.label)) this.undrawn.add(s.label); this.paint(); };
      });
    }
    clip.series.forEach((s, k) => {
      const item = this.legend.children[k];
      item.classList.toggle("parc-off", this.undrawn.has(s.label));
      item.lastChild.textContent = `${s.label} ${clip.value(s, frame).toFixed(3)}${s.unit ? " " + s.unit : ""}`;
    });
  }
}
customElements.define("parc-scene", ParcScene);

customElements.define("parc-scenes", class extends HTMLElement {
  connectedCallback() { whenRead(() => this.start()); }
  start() {
    if (this.player) return;
    this.clips = JSON.parse(this.querySelector("script").textContent); this.at = 0;
    this.player = document.createElement("parc-scene"); this.player.packed = this.clips[0];
    if (this.clips.length > 1) this.build();
    this.append(this.player);
  }
  build() {
    const bar = make("div", this, {className: "parc-bar"});
    const search = make("input", bar, {type: "search", placeholder: "search clips"});
    this.list = make("select", bar, {title: "clip", onchange: () => this.go(+this.list.value)});
    const fill = () => {
      this.list.replaceChildren();
      this.clips.forEach((clip, k) => {
        if (clip.name.toLowerCase().includes(search.value.toLowerCase()))
          make("option", this.list, {value: k, textContent: (clip.marks.length ? "✗ " : "") + clip.name, selected: k === this.at});
      });
    };
    search.oninput = () => { fill(); if (this.list.options.length && ![...this.list.options].some(o => +o.value === this.at)) this.go(+this.list.options[0].value); };
    make("button", bar, {type: "button", textContent: "next failure", onclick: () => this.nextFailure()});
    fill();
  }
  go(k, start = 0) { this.at = k; this.list.value = k; return this.player.load(this.clips[k], start); }
  nextFailure() {
    for (let n = 1; n <= this.clips.length; n++) {
      const k = (this.at + n) % this.clips.length, mark = this.clips[k].marks[0];
      if (mark) return this.go(k, Math.max(0, mark.from - 0.5));
    }
  }
});
})();
