(function () {
  "use strict";
  var SVG = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI, W = 340, H = 170, L = 40, R = 10, T = 30, B = 26;
  var holder = document.getElementById("details"), data = holder ? JSON.parse(holder.textContent) : null;

  function element(name, text, style) {
    var made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (style) made.className = style;
    return made;
  }
  function shape(parent, name, attributes, text) {
    var made = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    if (text !== undefined) made.textContent = text;
    parent.appendChild(made);
    return made;
  }

  var tip = element("div", "", "tip");
  tip.hidden = true;
  document.body.appendChild(tip);
  function follow(svg, points) {
    var line = shape(svg, "line", { "class": "point", visibility: "hidden", y1: T, y2: svg.viewBox.baseVal.height - B });
    function away() { tip.hidden = true; line.setAttribute("visibility", "hidden"); }
    function move(event) {
      var box = svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      var best = points.reduce(function (a, b) { return Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a; });
      line.setAttribute("x1", best[0]); line.setAttribute("x2", best[0]); line.setAttribute("visibility", "visible");
      tip.textContent = best[2]; tip.hidden = false;
      tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)) + "px";
      tip.style.top = Math.max(4, event.clientY - tip.offsetHeight - 10) + "px";
    }
    svg.addEventListener("pointermove", move); svg.addEventListener("pointerdown", move); svg.addEventListener("pointerleave", away);
  }
  document.querySelectorAll("svg[data-points]").forEach(function (svg) {
    var points = JSON.parse(svg.dataset.points);
    if (points.length) follow(svg, points);
  });

  // Curves of one clip over time: [name, colour, values]; null is unknown. Limit: [value, text].
  function plot(title, curves, length, lost, limit, top, unit) {
    var svg = document.createElementNS(SVG, "svg"), count = curves[0][2].length;
    svg.setAttribute("class", "chart"); svg.setAttribute("viewBox", "0 0 " + W + " " + H);
    svg.setAttribute("role", "img"); svg.setAttribute("aria-label", title);
    function x(time) { return L + time / length * (W - L - R); }
    function y(value) { return H - B - Math.max(0, Math.min(value / top, 1)) * (H - T - B); }
    shape(svg, "text", { "class": "title", x: 4, y: 14 }, title);
    [0, top / 2, top].forEach(function (value) {
      shape(svg, "line", { "class": "grid", x1: L, x2: W - R, y1: y(value), y2: y(value) });
      shape(svg, "text", { "class": "end", x: L - 4, y: y(value) + 4 }, +value.toPrecision(3));
    });
    shape(svg, "text", { "class": "end", x: W - R, y: H - 8 }, length.toFixed(1) + " s");
    if (limit) {
      shape(svg, "line", { "class": "limit", x1: L, x2: W - R, y1: y(limit[0]), y2: y(limit[0]) });
      shape(svg, "text", { "class": "bad", x: L + 3, y: y(limit[0]) - 3 }, limit[1]);
    }
    curves.forEach(function (curve) {
      var parts = [], run = [];
      curve[2].forEach(function (value, k) {
        if (value === null) return;
        run.push(x((k + .5) / count * length).toFixed(1) + "," + y(value).toFixed(1));
      });
      if (run.length) parts.push(run.join(" "));
      parts.forEach(function (points) { shape(svg, "polyline", { "class": "curve", points: points, style: "stroke:" + curve[1] }); });
    });
    if (lost !== null) {
      shape(svg, "line", { "class": "when", x1: x(lost), x2: x(lost), y1: T, y2: H - B });
      shape(svg, "text", { "class": "bad mid", x: Math.max(x(lost), L + 14), y: T - 3 }, "lost");
    }
    var points = [];
    for (var k = 0; k < count; k++) {
      var said = curves.filter(function (curve) { return curve[2][k] !== null; }).map(function (curve) { return curve[0] + " " + curve[2][k] + unit; });
      if (said.length) points.push([x((k + .5) / count * length), 0, ((k + .5) / count * length).toFixed(2) + " s: " + said.join(", ")]);
    }
    if (points.length) follow(svg, points);
    return svg;
  }
  var COLOURS = ["var(--accent)", "var(--ref)", "var(--good)", "#b37feb", "#d48806", "#08979c"];
  function scaled(values, factor) { return values.map(function (v) { return v === null ? null : +(v * factor).toFixed(3); }); }
  function draw(box, clip) {
    if (!clip.t) { box.appendChild(element("p", "No course over time is known of this clip.", "note")); return; }
    var lost = clip.lost ? clip.end : null, error = scaled(clip.t[0], .001), most = 0;
    error.forEach(function (v) { if (v !== null && v > most) most = v; });
    box.appendChild(plot("Joint error, m", [["joint error", COLOURS[0], error]], clip.length, lost, [.5, "0.5 m"], Math.min(Math.max(most, .6), 2), " m"));
    box.appendChild(plot("Share of each limit used", data.limits.map(function (name, k) { return [name, COLOURS[k], scaled(clip.t[1 + k], .01)]; }), clip.length, lost, [1, "limit"], 1.5, ""));
    var first = 1 + data.limits.length;
    box.appendChild(plot("Reward terms", data.terms.map(function (name, k) { return [name, COLOURS[k % 6], scaled(clip.t[first + k], .01)]; }), clip.length, lost, null, 1, ""));
    var legend = element("div", undefined, "legend");
    data.terms.forEach(function (name, k) { var s = element("span", name), i = element("i"); i.style.background = COLOURS[k % 6]; s.prepend(i); legend.appendChild(s); });
    var limits = element("div", undefined, "legend");
    data.limits.forEach(function (name, k) { var s = element("span", name), i = element("i"); i.style.background = COLOURS[k]; s.prepend(i); limits.appendChild(s); });
    var keys = element("div"); keys.appendChild(limits); keys.appendChild(legend); box.appendChild(keys);
  }
  if (data && window.IntersectionObserver) {
    var watcher = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) return;
        watcher.unobserve(entry.target);
        draw(entry.target, data.clips[entry.target.dataset.clip]);
      });
    }, { rootMargin: "300px" });
    document.querySelectorAll(".plots[data-clip]").forEach(function (box) { watcher.observe(box); });
  }

  function fact(box, name, value) {
    var row = element("div"); row.appendChild(element("span", name)); row.appendChild(element("b", value)); box.appendChild(row);
  }
  function said(value, unit) { return value === null ? "–" : (+value.toPrecision(4)) + (unit ? " " + unit : ""); }
  function detail(row, key) {
    var clip = data.clips[key], line = element("tr", undefined, "detail"), cell = element("td"), inner = element("div", undefined, "inner");
    cell.colSpan = row.cells.length;
    inner.appendChild(element("b", clip.why));
    var scene = document.getElementById("scene-" + key), box = element("div", undefined, "facts");
    if (scene) { var link = element("a", "the moment of loss"); link.href = "#scene-" + key; link.style.marginLeft = "10px"; inner.appendChild(link); }
    data.errors.forEach(function (name, k) { fact(box, name[0], said(clip.errors[k], name[1])); });
    data.measures.forEach(function (name, k) { if (clip.measures) fact(box, name[0], said(clip.measures[k], name[1])); });
    data.rules.forEach(function (name, k) { if (clip.success) fact(box, name, clip.success[k] ? "passed" : "failed"); });
    (clip.starts || []).forEach(function (start) { fact(box, "from " + start[0].toFixed(2) + " s", start[1] ? "completed" : "tracked " + Math.floor(100 * start[2]) + " %"); });
    inner.appendChild(box);
    var plots = element("div", undefined, "plots"); inner.appendChild(plots); draw(plots, clip);
    cell.appendChild(inner); line.appendChild(cell);
    return line;
  }

  document.querySelectorAll("table.sortable").forEach(function (table) {
    var body = table.tBodies[0], texts = +(table.dataset.texts || 1), filter = document.getElementById(table.id + "-filter");
    function close(row) {
      if (row.nextSibling && row.nextSibling.className === "detail") { row.nextSibling.remove(); row.querySelector("button").setAttribute("aria-expanded", "false"); }
    }
    function value(row, k) { var t = row.cells[k].textContent, n = parseFloat(t.replace(/[,\s%]/g, "").replace("−", "-")); return k < texts ? t : isNaN(n) ? -1e9 : n; }
    if (data && table.id === "clips") Array.from(body.rows).forEach(function (row) {
      var cell = row.cells[0], button = element("button", cell.textContent, "open-row");
      button.type = "button"; button.setAttribute("aria-expanded", "false"); cell.textContent = ""; cell.appendChild(button);
    });
    body.addEventListener("click", function (event) {
      var button = event.target.closest("button.open-row"); if (!button) return;
      var row = button.closest("tr");
      if (button.getAttribute("aria-expanded") === "true") { close(row); return; }
      button.setAttribute("aria-expanded", "true");
      row.after(detail(row, row.dataset.clip));
    });
    table.tHead.addEventListener("click", function (event) {
      var th = event.target.closest("th"); if (!th) return;
      var k = th.cellIndex, down = th.classList.contains("up");
      Array.from(body.querySelectorAll("tr:not(.detail)")).forEach(close);
      Array.from(th.parentNode.cells).forEach(function (c) { c.className = c.className.replace(/ ?(up|down)/g, ""); });
      th.classList.add(down ? "down" : "up");
      Array.from(body.rows).sort(function (a, b) { var x = value(a, k), y = value(b, k), s = x < y ? -1 : x > y ? 1 : 0; return down ? -s : s; }).forEach(function (r) { body.appendChild(r); });
    });
    if (filter) filter.addEventListener("input", function () {
      var q = filter.value.toLowerCase();
      Array.from(body.querySelectorAll("tr:not(.detail)")).forEach(function (r) { close(r); r.hidden = r.textContent.toLowerCase().indexOf(q) < 0; });
    });
  });
})();
