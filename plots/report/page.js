// The figures of the page, and on a live page what is new. Text from outside goes
// into the page as text alone (textContent); HTML comes from the server's templates,
// which escape it.
"use strict";
(() => {
  const plot = JSON.parse(document.getElementById("data").textContent);
  const byId = id => document.getElementById(id);
  const held = () => plot.held || "test";
  const night = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const dark = () => night.matches && !printing;
  const colorOf = net => dark() ? net.dark : net.color;
  const ink = () => dark() ? "#a6adb5" : "#595959";
  const faint = () => dark() ? "#2c3138" : "#e6e6e6";

  function element(name, text, attributes) {
    const e = document.createElement(name);
    if (text) e.textContent = text;
    for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
    return e;
  }

  // Data: steps come as differences.

  function sums(list) {
    let sum = 0;
    return list.map(d => sum += d);
  }

  function unpack(curves) {
    for (const c of Object.values(curves || {})) {
      c.steps = sums(c.steps);
      if (c.seconds) c.seconds = sums(c.seconds);
    }
  }

  function unpackNet(net) {
    unpack(net.curves);
    unpack(net.paper);
    for (const s of net.seeds) unpack(s.curves);
    return net;
  }
  plot.nets.forEach(unpackNet);

  // index of the last of a rising list that is at most x; -1 for none.
  function before(list, x) {
    let lo = 0, hi = list.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (list[mid] <= x) lo = mid + 1; else hi = mid;
    }
    return lo - 1;
  }

  function hours(clock, step) {
    const i = Math.min(Math.max(before(clock.steps, step), 0), clock.steps.length - 2);
    if (i < 0) return clock.seconds[0] / 3600;
    const share = (step - clock.steps[i]) / (clock.steps[i + 1] - clock.steps[i]);
    return (clock.seconds[i] + share * (clock.seconds[i + 1] - clock.seconds[i])) / 3600;
  }

  // Steps of an axis of whole numbers: 1, 2, 5, 10 and so on.
  const whole = Array.from({length: 27}, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));

  // Text of numbers.

  const count = n => Math.round(n).toLocaleString("en-US");
  const short = v => v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(1).replace(".0", "") : String(+v.toPrecision(5));
  const percent = v => v.toFixed(2) + " %";
  const plain = v => String(+v.toPrecision(4));

  // A chart. lines: {name, kind, color, width, dash, x, y, lo, hi, at(i): text of the
  // place}. o: {title, x, y (labels), log, range(lo, hi, zoomed), value(v): text, end,
  // marks, moved(chart, x)}. Charts of one group are zoomed together.

  function chart(group, place, lines, o) {
    const figure = element("figure", "", {class: "panel"});
    figure.append(element("figcaption", o.title));
    const box = element("div", "", {
      class: "chart", tabindex: "0", role: "application", "aria-roledescription": "chart",
      "aria-label": `${o.title}: ${o.y} over ${o.x}, ${lines.length} curves. Arrow keys read out values; the same numbers are in tables below.`,
    });
    const tip = element("div", "", {class: "tip", hidden: ""});
    figure.append(box);
    place.append(figure);

    const series = [{}], bands = [], tables = [];
    for (const l of lines) {
      const y = v => o.log ? v.map(n => n > 0 ? n : null) : v;
      l.index = series.length;
      series.push({scale: "y", stroke: l.color, width: l.width, dash: l.dash, points: {show: l.x.length === 1, size: 7, fill: l.color}});
      tables.push([l.x, y(l.y)]);
      if (l.lo) {
        tables[tables.length - 1].push(y(l.lo), y(l.hi));
        series.push({scale: "y", stroke: "transparent", width: 0, points: {show: false}}, {scale: "y", stroke: "transparent", width: 0, points: {show: false}});
        bands.push({series: [l.index + 2, l.index + 1], fill: l.color + (o.band || "2e")});
      }
    }
    const data = tables.length > 0 ? uPlot.join(tables) : [[]];
    const near = (u, s, i, x) => {
      const ys = u.data[s], xs = u.data[0];
      const ok = k => k >= 0 && k < ys.length && ys[k] != null;
      if (i == null || ok(i)) return i;
      let a = i, b = i;
      while (a >= 0 && ys[a] == null) a--;
      while (b < ys.length && ys[b] == null) b++;
      const best = !ok(a) ? b : !ok(b) ? a : x - xs[a] < xs[b] - x ? a : b;
      return ok(best) && Math.abs(xs[best] - x) <= 0.05 * (u.scales.x.max - u.scales.x.min) ? best : null;
    };
    // On a logarithmic axis round numbers are marked, and of several decades powers of ten.
    const round = v => Math.abs(+v.toPrecision(1) - v) < 1e-6 * v;
    const marked = (u, v) => !o.log || (u.scales.y.max / u.scales.y.min < 50 ? round(v) : Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-6);
    const font = "12px system-ui, sans-serif";
    const axis = label => ({label, labelFont: font, font, stroke: ink(), labelSize: 18, grid: {stroke: faint(), width: 1}, ticks: {stroke: faint(), width: 1}});
    const c = {box, lines, o, line: null, point: 0};
    const u = c.u = new uPlot({
      width: box.clientWidth || 330, height: box.clientHeight || 300, legend: {show: false}, padding: [8, 24, 0, 0],
      cursor: {
        dataIdx: near, drag: {x: true, y: false, setScale: false},
        points: {show: (u, s) => lines.some(l => l.index === s), size: 6},
        bind: {dblclick: () => () => group.zoom(null)},
      },
      scales: {
        x: {time: false, range: (u, lo, hi) => group.range || [o.start || 0, o.end]},
        y: {distr: o.log ? 3 : 1, range: (u, lo, hi) => o.range(lo, hi, group.range != null)},
      },
      axes: [
        {...axis(o.x), size: 36, incrs: o.whole ? whole : undefined, values: (u, vs) => vs.map(v => v == null ? "" : Math.abs(v) >= 1000 ? count(v) : short(v))},
        {...axis(o.y), size: o.log ? 62 : 50, values: (u, vs) => vs.map(v => v == null || !marked(u, v) ? "" : short(v))},
      ],
      series, bands,
      hooks: {
        draw: [u => {
          u.ctx.save();
          u.ctx.strokeStyle = ink();
          u.ctx.setLineDash([2, 4]);
          for (const x of o.marks || []) {
            if (x <= u.scales.x.min || x >= u.scales.x.max) continue;
            const at = Math.round(u.valToPos(x, "x", true));
            u.ctx.beginPath();
            u.ctx.moveTo(at, u.bbox.top);
            u.ctx.lineTo(at, u.bbox.top + u.bbox.height);
            u.ctx.stroke();
          }
          u.ctx.restore();
        }],
        setSelect: [u => {
          const {left, width} = u.select;
          if (width > 4) group.zoom([u.posToVal(left, "x"), u.posToVal(left + width, "x")]);
          u.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
        }],
        setCursor: [u => {
          if (u.cursor.left < 0) return point(null);
          let best = null, least = Infinity;
          for (const l of lines) {
            const i = u.cursor.idxs[l.index];
            if (i == null || u.data[l.index][i] == null) continue;
            const far = Math.hypot(u.valToPos(u.data[l.index][i], "y") - u.cursor.top, u.valToPos(u.data[0][i], "x") - u.cursor.left);
            if (far < least) [best, least] = [l, far];
          }
          if (best) point(best, before(best.x, u.data[0][u.cursor.idxs[best.index]]));
          else point(null);
        }],
      },
    }, data, box);
    u.over.append(tip);

    // point shows one point of a line, which is what the record has there.
    function point(line, i) {
      c.line = line;
      tip.hidden = !line;
      if (!line) {
        if (o.moved) o.moved(c, null);
        return "";
      }
      c.point = i;
      tip.replaceChildren(element("b", line.name), element("span", c.text()));
      const left = u.valToPos(line.x[i], "x"), top = u.valToPos(line.y[i], "y");
      tip.style.left = Math.max(0, left + 12 + tip.offsetWidth > u.over.clientWidth ? left - 12 - tip.offsetWidth : left + 12) + "px";
      tip.style.top = Math.max(0, Math.min(top - 12, u.over.clientHeight - tip.offsetHeight)) + "px";
      if (o.moved) o.moved(c, line.x[i]);
    }
    c.text = () => {
      const {line, point: i} = c;
      const range = line.lo && line.lo[i] !== line.hi[i] ? ` (${plain(line.lo[i])} to ${plain(line.hi[i])})` : "";
      return `${line.kind} ${o.value(line.y[i])}${range}, ${line.at(i)}`;
    };
    c.go = (line, i) => {
      const x = line.x[i], {min, max} = u.scales.x;
      if (x < min || x > max) group.zoom([x - (max - min) / 2, x + (max - min) / 2]);
      u.setCursor({left: u.valToPos(x, "x"), top: u.valToPos(line.y[i], "y")}, false);
      point(line, i);
      byId("spoken").textContent = `${line.name}: ${c.text()}`;
    };
    box.addEventListener("keydown", e => {
      if (e.ctrlKey || e.metaKey || e.altKey || lines.length === 0) return;
      const line = c.line || lines[0], i = c.line ? c.point : -1, far = e.shiftKey ? 10 : 1, last = line.x.length - 1;
      const other = d => {
        const l = lines[(lines.indexOf(line) + d + lines.length) % lines.length];
        c.go(l, Math.max(0, before(l.x, line.x[Math.max(i, 0)])));
      };
      const keys = {
        ArrowRight: () => c.go(line, Math.min(i + far, last)), ArrowLeft: () => c.go(line, Math.max(i - far, 0)),
        Home: () => c.go(line, 0), End: () => c.go(line, last), ArrowDown: () => other(1), ArrowUp: () => other(-1),
        "+": () => group.scale(0.5, c), "=": () => group.scale(0.5, c), "-": () => group.scale(2, c), "0": () => group.zoom(null),
        Escape: () => u.setCursor({left: -10, top: -10}),
      };
      if (!keys[e.key]) return;
      e.preventDefault();
      keys[e.key]();
    });
    box.addEventListener("mousedown", () => group.held = true);
    group.charts.push(c);
    return c;
  }

  // A group of charts with one x axis, drawn anew whenever something changes.
  function newGroup(id, draw) {
    const g = {charts: [], range: null, held: false};
    const place = byId(id);
    const sizes = new ResizeObserver(() => {
      for (const {u, box} of g.charts) {
        if (box.clientWidth && (u.width !== box.clientWidth || u.height !== box.clientHeight)) u.setSize({width: box.clientWidth, height: box.clientHeight});
      }
    });
    g.draw = () => {
      const focused = g.charts.findIndex(c => c.box === document.activeElement);
      const at = g.charts.map(c => ({left: c.u.cursor.left, top: c.u.cursor.top, line: c.line}));
      sizes.disconnect();
      for (const {u} of g.charts) u.destroy();
      g.charts = [];
      place.replaceChildren();
      place.closest("section").hidden = !draw(g, place);
      for (const c of g.charts) {
        c.u.setSize({width: c.box.clientWidth || 330, height: c.box.clientHeight || 300});
        sizes.observe(c.box);
      }
      g.charts.forEach((c, i) => {
        if (at[i] && at[i].line && at[i].left >= 0) c.u.setCursor(at[i]);
        if (i === focused) c.box.focus({preventScroll: true});
      });
    };
    g.zoom = range => {
      g.range = range;
      for (const {u, o} of g.charts) u.setScale("x", range ? {min: range[0], max: range[1]} : {min: o.start || 0, max: o.end});
    };
    // scale makes the visible part so many times as wide, around the point shown.
    g.scale = (by, c) => {
      c = c || g.charts[0];
      if (!c) return;
      const {min, max} = c.u.scales.x, middle = c.line ? c.line.x[c.point] : (min + max) / 2, start = c.o.start || 0;
      const lo = Math.max(start, middle - (middle - min) * by), hi = Math.min(c.o.end, middle + (max - middle) * by);
      g.zoom(lo <= start && hi >= c.o.end ? null : [lo, hi]);
    };
    addEventListener("mouseup", () => g.held = false);
    return g;
  }

  const kinds = [["Plain nets", false], ["Residual nets", true]];
  const stateOf = net => net.state ? ", " + net.state : "";

  // Curves.

  const form = document.querySelector("#curves form");
  const hidden = new Set();
  const chosen = name => form && form.elements[name].value;
  const checked = name => form.elements[name].checked;

  function curveLines(net) {
    const measure = chosen("measure"), over = chosen("over"), lines = [];
    const add = (curves, clock, faded, suffix) => {
      for (const split of ["train", "test"]) {
        const c = curves && curves[`${split}_${measure}`];
        if (!checked(split) || !c || c.steps.length === 0) continue;
        const name = split === "train" ? "training" : held();
        lines.push({
          net, split, mean: !suffix, paper: faded, name: net.name + stateOf(net) + (suffix || ""), kind: `${name} ${measure}`,
          color: colorOf(net) + (faded ? "66" : ""), width: split === "test" ? (suffix ? 1.2 : 2) : 1,
          dash: split === "train" && !faded ? [4, 3] : (net.dash || undefined),
          x: over === "epochs" ? c.steps.map(s => s / net.epoch) : over === "hours" ? c.steps.map(s => hours(clock, s)) : c.steps,
          y: c.values, lo: c.lo, hi: c.hi,
          at: i => `iteration ${count(c.steps[i])}` + (over === "epochs" ? `, epoch ${(c.steps[i] / net.epoch).toFixed(1)}` : over === "hours" ? `, ${hours(clock, c.steps[i]).toFixed(2)} hours` : ""),
        });
      }
    };
    if (checked("paper") && over !== "hours") add(net.paper, null, true, ", He et al.");
    if (checked("seeds") && !form.elements.seeds.disabled) {
      for (const s of net.seeds) add(s.curves, s.curves.clock, false, `, seed ${s.seed}` + stateOf(s));
    } else {
      add(net.curves, net.curves.clock, false, "");
    }
    return lines;
  }

  const last = list => list[list.length - 1];

  // The end of the y axis: room for what the curves come down to. The first steps, at
  // chance, would press all the rest to the bottom.
  function topOf(lines, end) {
    let top = 0;
    for (const l of lines) {
      const i = Math.min(Math.max(before(l.x, 0.25 * end) + 1, 0), l.y.length - 1);
      top = Math.max(top, 1.4 * last(l.y), 0.95 * l.y[i], 1.1 * last(l.hi || l.y));
    }
    return chosen("measure") === "error" ? Math.min(top || 100, 100) : top || 1;
  }

  function drawCurves(group, place) {
    const nets = plot.nets.filter(n => !hidden.has(n.name));
    const all = nets.map(n => [n, curveLines(n)]), lines = all.flatMap(([, ls]) => ls);
    const log = chosen("scale") === "log", measure = chosen("measure"), over = chosen("over");
    const end = lines.reduce((m, l) => Math.max(m, last(l.x)), 0) || 1, top = topOf(lines, end);
    const range = (lo, hi, zoomed) => {
      if (lo == null) return log ? [0.1, 100] : [0, top];
      if (log) return [lo > 0 ? lo * 0.9 : 0.01, hi * 1.1];
      return zoomed ? [Math.max(0, lo - 0.05 * (hi - lo)), hi + 0.05 * (hi - lo) || 1] : [0, top];
    };
    // The drops are steps: nets come to one step at different hours, and with different batches at different epochs.
    const drops = plot.drops || [], epoch = plot.nets.length > 0 && plot.nets[0].epoch;
    const marks = over === "iterations" ? drops : over === "epochs" && plot.nets.every(n => n.epoch === epoch) ? drops.map(s => s / epoch) : [];
    for (const [title, residual] of kinds) {
      if (!plot.nets.some(n => !!n.residual === residual)) continue;
      chart(group, place, lines.filter(l => !!l.net.residual === residual), {
        title, x: over, whole: over === "iterations", y: measure === "error" ? "error (%)" : "loss", log, range, end,
        value: measure === "error" ? percent : plain,
        marks,
        moved: (c, x) => {
          readings(c, x);
          for (const other of group.charts) {
            if (other === c) continue;
            other.u.setCursor(x == null ? {left: -10, top: -10} : {left: other.u.valToPos(x, "x"), top: -10}, false);
            readings(other, x);
          }
        },
      });
    }
    for (const row of cells.values()) row.train.textContent = row.test.textContent = "";
    for (const c of group.charts) readings(c, null);
    byId("curve-legend").textContent = `Bold: ${held()}. Thin and dashed: training, of the mini-batches.`
      + (lines.some(l => l.lo) ? " Bands: lowest to highest of the seeds." : "") + (marks.length > 0 ? " Dotted verticals: the learning rate was lowered." : "")
      + (lines.some(l => l.paper) ? " Faint: He et al. 2015." : "") + " Long curves are thinned to what a screen can show; their highest and lowest points are kept.";
    return plot.nets.length > 0;
  }

  // readings fills the table of nets with the values at x, or at the end.
  function readings(c, x) {
    for (const l of c.lines) {
      if (!l.mean) continue;
      const cell = cells.get(l.net.name) && cells.get(l.net.name)[l.split];
      const i = c.u.cursor.idxs[l.index], value = x == null ? last(l.y) : i == null ? null : c.u.data[l.index][i];
      if (cell) cell.textContent = value == null ? "" : c.o.value(value);
    }
  }

  const cells = new Map();

  // swatch is a sample of a net's line.
  function swatch(net) {
    const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg"), line = document.createElementNS(ns, "line");
    for (const [k, v] of Object.entries({width: 28, height: 10, "aria-hidden": "true"})) svg.setAttribute(k, v);
    for (const [k, v] of Object.entries({x1: 0, x2: 28, y1: 5, y2: 5, stroke: colorOf(net), "stroke-width": 3, "stroke-dasharray": (net.dash || []).join(" ")})) line.setAttribute(k, v);
    svg.append(line);
    return svg;
  }

  function netTable() {
    cells.clear();
    byId("nets").replaceChildren(...plot.nets.map(net => {
      const row = element("tr"), head = element("th", "", {scope: "row"}), label = element("label"), box = element("input", "", {type: "checkbox"});
      box.checked = !hidden.has(net.name);
      box.addEventListener("change", () => {
        if (box.checked) hidden.delete(net.name); else hidden.add(net.name);
        curves.draw();
      });
      label.append(box, swatch(net), element("span", net.name + stateOf(net)));
      head.append(label);
      const train = element("td", "", {class: "number"}), test = element("td", "", {class: "number"});
      cells.set(net.name, {train, test});
      row.append(head, train, test);
      return row;
    }));
  }

  // What the records do not have cannot be chosen.
  function controls() {
    const able = (name, value, can) => {
      for (const i of form.querySelectorAll(`input[name=${name}]`)) {
        if (value && i.value !== value) continue;
        i.disabled = !can;
        if (!can && i.checked && i.type === "radio") form.querySelector(`input[name=${name}]`).checked = true;
        i.parentElement.title = can ? "" : "not recorded";
      }
    };
    const every = f => plot.nets.length > 0 && plot.nets.every(f);
    able("measure", "loss", plot.nets.some(n => n.curves.train_loss || n.curves.test_loss));
    able("over", "epochs", every(n => n.epoch > 0));
    able("over", "hours", every(n => n.curves.clock && n.seeds.every(s => s.curves.clock)));
    able("seeds", "", plot.nets.some(n => n.seeds.length > 1));
    able("paper", "", plot.nets.some(n => n.paper));
  }

  // Layers.

  function layerChart(group, place, title, lines, o) {
    if (lines.length === 0) return;
    chart(group, place, lines, {
      title, x: "layer", whole: true, start: 1, end: lines.reduce((m, l) => Math.max(m, last(l.x)), 2), value: plain,
      range: (lo, hi) => lo == null ? [0.1, 1] : o.log ? [lo / 1.5, hi * 1.5] : [0, hi * 1.05], ...o,
    });
  }

  function layerLine(net, layers, extra) {
    const x = layers.at || layers.values.map((_, i) => i + 1);
    return {net, name: net.name, color: colorOf(net), width: 2, dash: net.dash || undefined, x, y: layers.values, lo: layers.lo, hi: layers.hi, at: i => `layer ${x[i]}`, ...extra};
  }

  const largest = list => list && [...list].sort((a, b) => b - a);

  function drawResponses(group, place) {
    const size = document.querySelector("#responses input[value=size]").checked;
    const ordered = l => size ? {...l, x: l.y.map((_, i) => i + 1), y: largest(l.y), lo: largest(l.lo), hi: largest(l.hi), at: i => `rank ${i + 1}`} : l;
    for (const [title, residual] of kinds) {
      const nets = plot.nets.filter(n => !!n.residual === residual && n.responses);
      const lines = nets.map(n => layerLine(n, n.responses, {kind: "deviation"}));
      for (const n of nets) {
        if (n.figure7) lines.push(layerLine(n, n.figure7, {kind: "deviation", name: n.name + ", He et al.", color: colorOf(n) + "66", width: 1}));
      }
      layerChart(group, place, title, lines.map(ordered), {y: "standard deviation", ...(size ? {x: "layers, the largest first"} : {})});
    }
    return group.charts.length > 0;
  }

  function drawGradients(group, place) {
    for (const [title, residual] of kinds) {
      const nets = plot.nets.filter(n => !!n.residual === residual && n.last);
      layerChart(group, place, title, nets.flatMap(n => [
        layerLine(n, n.last, {kind: "norm at the last test"}), layerLine(n, n.first, {kind: "norm at the first test", width: 1, dash: [4, 3]}),
      ]), {y: "norm of the gradient", log: true, band: "12"});
    }
    return group.charts.length > 0;
  }

  let curves, responses, gradients;
  const drawAll = () => [curves, responses, gradients].forEach(g => g.draw());

  if (form) {
    curves = newGroup("curve-panels", drawCurves);
    responses = newGroup("response-panels", drawResponses);
    gradients = newGroup("gradient-panels", drawGradients);
    form.elements.paper.checked = !!plot.paper;
    form.addEventListener("submit", e => e.preventDefault());
    form.addEventListener("change", e => {
      if (e.target.name === "over") curves.range = null;
      curves.draw();
    });
    form.addEventListener("click", e => ({in: () => curves.scale(0.5), out: () => curves.scale(2), whole: () => curves.zoom(null)}[e.target.value] || (() => {}))());
    document.querySelector("#responses form").addEventListener("change", () => responses.draw());
    night.addEventListener("change", () => { netTable(); drawAll(); });
    addEventListener("beforeprint", () => {
      printing = true;
      for (const d of document.querySelectorAll("details")) d.open = true;
      netTable();
      drawAll();
      for (const g of [curves, responses, gradients]) {
        for (const c of g.charts) c.u.setSize({width: 330, height: 260});
      }
    });
    addEventListener("afterprint", () => {
      printing = false;
      netTable();
      drawAll();
    });
    controls();
    netTable();
    drawAll();
  }

  // A live page asks what is new. Names of sections are the server's own.

  const news = document.body.dataset.news, sign = byId("live");
  let since = "", failed = 0, since0 = sign && [...sign.childNodes];

  function replace(sections) {
    for (const [name, html] of Object.entries(sections || {})) {
      const e = document.querySelector(`[data-section="${name}"]`);
      if (!e) continue;
      const open = new Set([...e.querySelectorAll("details[open]")].map(d => d.dataset.keep));
      const scrolled = [...e.querySelectorAll(".scroll, .log")].map(s => [s.scrollLeft, s.scrollTop]);
      e.innerHTML = html;
      for (const d of e.querySelectorAll("details")) d.open = open.has(d.dataset.keep);
      e.querySelectorAll(".scroll, .log").forEach((s, i) => { if (scrolled[i]) [s.scrollLeft, s.scrollTop] = scrolled[i]; });
      for (const l of e.querySelectorAll(".log")) l.scrollTop = l.scrollHeight;
    }
  }

  function merge(answer) {
    if (!form || !answer.plot) return;
    const fresh = new Map(answer.plot.nets.map(n => [n.name, unpackNet(n)]));
    const kept = plot.nets.filter(n => answer.names.includes(n.name) && !fresh.has(n.name));
    if (fresh.size === 0 && kept.length === plot.nets.length) return;
    const first = plot.nets.length === 0;
    plot.nets = [...kept, ...fresh.values()].sort((a, b) => a.order - b.order);
    plot.held = answer.plot.held;
    for (const e of document.querySelectorAll("[data-held]")) e.textContent = held(); // not known before the first test
    plot.drops = answer.plot.drops;
    if (first) form.elements.paper.checked = !!answer.plot.paper;
    controls();
    netTable();
    if (![curves, responses, gradients].some(g => g.held)) drawAll();
  }

  async function ask() {
    try {
      const r = await fetch(`${news}?since=${encodeURIComponent(since)}`, {cache: "no-store"});
      const answer = await r.json();
      if (!r.ok) throw new Error(answer.error || r.statusText);
      since = answer.now;
      replace(answer.sections);
      merge(answer);
      if (failed > 0) sign.replaceChildren(...since0);
      failed = 0;
      sign.classList.remove("lost");
    } catch (e) {
      failed++;
      sign.classList.add("lost");
      sign.textContent = `No news since ${failed * 2} s: ${e.message}. What is shown may be old.`;
    }
    setTimeout(ask, 2000);
  }
  if (news) ask();
  document.documentElement.dataset.drawn = performance.now(); // ms since the page was asked for
})();
