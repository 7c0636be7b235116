// SPDX-License-Identifier: Apache-2.0
'use strict';
(() => {
  // ---- Text ----

  const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();

  /** Four significant digits: 0.1234, 12.34, 2.31e6. */
  function brief(v) {
    if (v == null) return '–';
    if (typeof v === 'string') return v;
    if (v === 0) return '0';
    const size = Math.abs(v);
    if (size >= 1e5 || size < 1e-3) return v.toExponential(2).replace('+', '').replace(/\.?0+e/, 'e');
    return String(Number(v.toPrecision(4)));
  }

  const count = v => v.toLocaleString('en-US');
  const counted = (v, thing) => count(v) + ' ' + thing + (v === 1 ? '' : 's');

  function percent(part, whole) {
    if (part === 0) return '0 %';
    const share = 100 * part / whole;
    if (part < whole && share > 99.9) return '> 99.9 %';
    return (share < 0.1 ? '< 0.1' : share.toFixed(share < 10 || (share > 99 && part < whole) ? 1 : 0)) + ' %';
  }

  const digits = '⁰¹²³⁴⁵⁶⁷⁸⁹';
  const power = e => '10' + (e < 0 ? '⁻' : '') + String(Math.abs(e)).replace(/./g, d => digits[d]);

  function time(seconds) {
    if (seconds < 100) return brief(seconds) + ' s';
    if (seconds < 6000) return Math.round(seconds / 60) + ' min';
    return (seconds / 3600).toFixed(1) + ' h';
  }

  function add(parent, name, text, attributes) {
    const element = document.createElement(name);
    if (text != null) element.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    parent.append(element);
    return element;
  }

  const redrawers = [];

  // ---- Marks: what was done with a step has a shape of its own, and not only a colour. ----

  const marks = {
    cut(c, x, y, r) {
      c.moveTo(x, y - r);
      c.lineTo(x + r, y + r);
      c.lineTo(x - r, y + r);
      c.closePath();
    },
    skip(c, x, y, r) {
      c.moveTo(x - r, y - r);
      c.lineTo(x + r, y + r);
      c.moveTo(x + r, y - r);
      c.lineTo(x - r, y + r);
    },
    bad(c, x, y, r) {
      c.moveTo(x, y - r);
      c.lineTo(x + r, y);
      c.lineTo(x, y + r);
      c.lineTo(x - r, y);
      c.closePath();
    },
  };

  function mark(c, kind, x, y, r) {
    c.beginPath();
    c.setLineDash([]);
    marks[kind](c, x, y, r);
    c.lineWidth = r / 2.5;
    c.strokeStyle = colour(kind);
    c.stroke();
    if (kind === 'cut') {
      c.fillStyle = colour(kind);
      c.fill();
    }
  }

  /** A legend whose samples are drawn by draw(context), 26 by 14 pixels each. */
  function key(parent, entries) {
    const box = add(parent, 'div', null, {class: 'key'});
    for (const [label, draw] of entries) {
      const entry = add(box, 'span');
      const canvas = add(entry, 'canvas', null, {width: 52, height: 28, style: 'width:26px;height:14px'});
      add(entry, 'span', label);
      const sample = () => {
        const c = canvas.getContext('2d');
        c.setTransform(2, 0, 0, 2, 0, 0);
        c.clearRect(0, 0, 26, 14);
        draw(c);
      };
      sample();
      redrawers.push(sample);
    }
  }

  function line(name, dash) {
    return c => {
      c.beginPath();
      c.setLineDash(dash || []);
      c.moveTo(1, 7);
      c.lineTo(25, 7);
      c.lineWidth = 2;
      c.strokeStyle = colour(name);
      c.stroke();
    };
  }

  // ---- Norm over steps ----

  const FEW_MARKS = 300;

  function axis(more) {
    return {
      stroke: () => colour('text'),
      grid: {stroke: () => colour('rule'), width: 1},
      ticks: {stroke: () => colour('rule'), width: 1},
      font: '12px system-ui, "DejaVu Sans", sans-serif',
      labelFont: '13px system-ui, "DejaVu Sans", sans-serif',
      labelSize: 18,
      ...more,
    };
  }

  /** Of a logarithmic axis: the powers of ten, every so many where they are many, and 2 and 5 where they are few. */
  function logTicks(u, splits) {
    const decades = Math.log10(u.scales.y.max / u.scales.y.min);
    const every = Math.ceil(decades / 8);
    return splits.map(v => {
      const e = Math.floor(Math.log10(v) + 1e-9);
      const first = Math.round(v / Math.pow(10, e));
      if (decades > 2) return first === 1 && e % every === 0 ? v : null;
      return [1, 2, 5].includes(first) ? v : null;
    });
  }

  function logLabel(v) {
    if (v == null) return '';
    const e = Math.log10(v);
    if (v >= 1e-3 && v < 1e5) return String(Number(v.toPrecision(2)));
    return Math.abs(e - Math.round(e)) < 1e-9 ? power(Math.round(e)) : brief(v);
  }

  function size(box, height) {
    return {width: Math.max(320, box.clientWidth), height};
  }

  function chart(box, height, options, data) {
    const u = new uPlot({...size(box, height), ...options}, data, box);
    addEventListener('resize', () => u.setSize(size(box, height)));
    redrawers.push(() => u.redraw(false));
    return u;
  }

  function drawMarks(u, run) {
    const c = u.ctx;
    const {left, top, width, height} = u.bbox;
    const r = 4.5 * devicePixelRatio;
    const [from, to] = [u.scales.x.min, u.scales.x.max];
    c.save();
    c.beginPath();
    c.rect(left - r, top - r, width + 2 * r, height + 2 * r);
    c.clip();
    const inView = [];
    for (let i = 0; i < run.x.length; i++) if (run.x[i] >= from && run.x[i] <= to) inView.push(i);
    const cut = inView.filter(i => run.cut[i] > 0 && run.high[i] != null);
    if (cut.length <= FEW_MARKS) {
      for (const i of cut) mark(c, 'cut', u.valToPos(run.x[i], 'x', true), u.valToPos(run.high[i], 'y', true), r);
    }
    // One mark a place, at the top: such a step may have no norm.
    for (const [kind, row] of [['skip', 1], ['bad', 3.4]]) {
      let last = -Infinity;
      for (const i of inView) {
        const shown = kind === 'skip' ? run.skip[i] : run.bad[i] - run.skip[i];
        const x = u.valToPos(run.x[i], 'x', true);
        if (shown <= 0 || x - last < 2 * r) continue;
        mark(c, kind, x, top + row * 1.4 * r, r);
        last = x;
      }
    }
    c.restore();
  }

  function norms(parent, run) {
    const bins = run.bin > 1;
    add(parent, 'h3', 'Norm over steps');
    if (run.high.every(v => v == null)) {
      add(parent, 'p', 'This run has no norm to draw' + (run.rule ? ', by rule ' + run.rule : '') + ': a clip by value '
        + 'measures none, and one of 0 or not finite has no place on a logarithmic axis.');
      return;
    }
    add(parent, 'p', (bins
      ? 'A point stands for ' + count(run.bin) + ' steps, a bin: the line is their median, and the band goes from '
        + 'their smallest norm to their largest. '
      : '') + 'Drag to look closer, double-click to go back.');
    const exist = {cut: run.clipped > 0, skip: run.skipped > 0, bad: run.nonFinite > run.skipped};
    const entries = [[bins ? 'median norm of a bin' : 'global norm before clipping', line('norm')]];
    if (bins) {
      entries.push(['smallest to largest of a bin', c => {
        c.fillStyle = colour('band');
        c.fillRect(1, 1, 24, 12);
      }]);
    }
    const hasLimit = run.limit.some(v => v != null);
    if (hasLimit) entries.push(['threshold', line('limit', [5, 3])]);
    const which = bins ? ' in the bin' : '';
    if (exist.cut) {
      entries.push(['clipped' + which + ' (drawn where at most ' + FEW_MARKS + ' are in view)',
        c => mark(c, 'cut', 13, 7, 4)]);
    }
    if (exist.skip) entries.push(['skipped' + which + ': not finite, left as it was', c => mark(c, 'skip', 13, 7, 4)]);
    if (exist.bad) entries.push(['not finite' + which + ', not skipped', c => mark(c, 'bad', 13, 7, 4)]);
    key(parent, entries);
    const box = add(parent, 'div');
    const value = (u, v) => v == null ? '–' : brief(v);
    const middle = {label: bins ? 'median' : 'norm', stroke: () => colour('norm'), width: 1.5, value,
      points: {show: run.x.length < 60}};
    const edge = label => ({label, stroke: 'transparent', width: 0, value, points: {show: false}});
    const limit = {label: 'threshold', stroke: () => colour('limit'), width: 2, dash: [8, 5], value,
      points: {show: run.x.length === 1}};
    const step = {label: 'step', value: (u, v, s, i) => i == null ? '–' : count(run.x[i])
      + (run.last[i] === run.x[i] ? '' : '–' + count(run.last[i]))};
    const series = bins ? [step, middle, edge('smallest'), edge('largest'), limit] : [step, middle, limit];
    const data = bins ? [run.x, run.mid, run.low, run.high, run.limit] : [run.x, run.mid, run.limit];
    if (!hasLimit) {
      series.pop();
      data.pop();
    }
    chart(box, 380, {
      series,
      bands: bins ? [{series: [3, 2], fill: () => colour('band')}] : [],
      scales: {x: {time: false, range: ends(run)}, y: {distr: 3, range: logRange(run)}},
      axes: [
        axis({label: 'step', size: 34, space: 80}),
        axis({label: 'norm of all gradients, before clipping (log)', size: 56, filter: logTicks,
          grid: {stroke: () => colour('rule'), width: 1, filter: logTicks},
          ticks: {stroke: () => colour('rule'), width: 1, filter: logTicks},
          values: (u, splits) => splits.map(logLabel)}),
      ],
      cursor: {sync: {key: run.name + run.index}, drag: {x: true, y: false}},
      hooks: {draw: [u => drawMarks(u, run)]},
    }, data);
  }

  /** All steps until somebody looks closer, the same in each chart; a single step has an axis too. */
  function ends(run) {
    const whole = run.firstStep === run.lastStep ? [run.firstStep - 1, run.lastStep + 1]
      : [run.firstStep, run.lastStep + 1];
    return (u, min, max) => run.steps === 1 || (min === u.data[0][0] && max === u.data[0][u.data[0].length - 1])
      ? whole : [min, max];
  }

  function logRange(run) {
    const drawn = [...run.low, ...run.high, ...run.limit].filter(v => v != null);
    if (drawn.length === 0) return [0.1, 10];
    const least = drawn.reduce((a, b) => Math.min(a, b));
    const most = drawn.reduce((a, b) => Math.max(a, b));
    const room = Math.max(1.2, Math.pow(most / least, 0.08));
    return [least / room, Math.min(most * room, Number.MAX_VALUE)];
  }

  function shareClipped(parent, run) {
    if (run.clipped === 0) return;
    add(parent, 'h3', 'Steps that were clipped');
    add(parent, 'p', run.bars.bin > 1 ? 'Share of each ' + count(run.bars.bin) + ' steps.' : 'Each step.');
    const box = add(parent, 'div');
    const percents = run.bars.share.map(v => 100 * v);
    // A bar reaches to the step where the next one begins.
    const x = [...run.bars.x, run.lastStep + 1];
    chart(box, 150, {
      series: [
        {label: 'from step', value: (u, v) => v == null ? '–' : count(v)},
        {label: 'clipped', stroke: () => colour('cut'), width: 1.5, fill: () => colour('cut') + '55',
          paths: uPlot.paths.stepped({align: 1}), points: {show: false},
          value: (u, v) => v == null ? '–' : v.toFixed(0) + ' %'},
      ],
      scales: {x: {time: false, range: ends(run)}, y: {range: [0, 105]}},
      axes: [
        axis({label: 'step', size: 34, space: 80}),
        axis({label: 'clipped', size: 56, splits: () => [0, 50, 100], values: (u, s) => s.map(v => v + ' %')}),
      ],
      cursor: {sync: {key: run.name + run.index}, drag: {x: true, y: false}},
    }, [x, [...percents, percents[percents.length - 1]]]);
  }

  // ---- Norms of layers: a heat map ----

  /** Viridis, by S. van der Walt and N. Smith: lightness grows evenly, and the colour-blind see all of it. */
  const VIRIDIS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137],
    [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]];

  function viridis(place) {
    const at = Math.min(place, 1) * (VIRIDIS.length - 1);
    const i = Math.min(Math.floor(at), VIRIDIS.length - 2);
    return VIRIDIS[i].map((v, k) => Math.round(v + (at - i) * (VIRIDIS[i + 1][k] - v)));
  }

  const [NONE, NON_FINITE, ZERO, FIRST, LAST] = [0, 1, 2, 3, 255];
  const BOTTOM = 40;
  const TOP = 8;

  /** The width of the names beside a heat map. */
  const labels = whole => Math.min(270, Math.round(0.35 * whole));

  function levels(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  function rgb(level) {
    if (level === NON_FINITE) return [255, 59, 141, 255];
    if (level === ZERO) return [0, 0, 0, 255];
    if (level === NONE) return [0, 0, 0, 0];
    return [...viridis((level - FIRST) / (LAST - FIRST)), 255];
  }

  function picture(cells, columns, rows) {
    const canvas = document.createElement('canvas');
    canvas.width = columns;
    canvas.height = rows;
    const c = canvas.getContext('2d');
    const image = c.createImageData(columns, rows);
    for (let i = 0; i < cells.length; i++) image.data.set(rgb(cells[i]), 4 * i);
    c.putImageData(image, 0, 0);
    return canvas;
  }

  function shortened(c, text, width) {
    if (c.measureText(text).width <= width) return text;
    // The end of a layer's name tells more than its beginning.
    let from = 1;
    while (from < text.length && c.measureText('…' + text.slice(from)).width > width) from++;
    return '…' + text.slice(from);
  }

  /** Round steps, about so many, and the columns that have them. */
  function roundSteps(firsts, many) {
    const span = firsts[firsts.length - 1] - firsts[0];
    const rough = Math.max(1, span / many);
    const ten = Math.pow(10, Math.floor(Math.log10(rough)));
    const width = ten * [1, 2, 5, 10].find(k => k * ten >= rough);
    const found = [];
    let column = 0;
    for (let step = Math.ceil(firsts[0] / width) * width; step <= firsts[firsts.length - 1]; step += width) {
      while (column + 2 < firsts.length && firsts[column + 1] <= step) column++;
      found.push([step, column]);
    }
    return found;
  }

  function valueAt(layers, level) {
    const [low, high] = layers.scale;
    return low * Math.pow(high / low, (level - FIRST) / (LAST - FIRST));
  }

  function heat(parent, run) {
    const layers = run.layers;
    const one = layers.of === 'groups' ? 'group' : 'tensor';
    const columns = layers.x.length - 1;
    const rows = layers.names.length;
    const cells = levels(layers.levels);
    add(parent, 'h3', 'Norm of each ' + one + ' over steps');
    add(parent, 'p', counted(rows, one) + ' in their order, ' + counted(layers.lines, 'step') + ' with their norms'
      + (layers.bin > 1 ? '; a column stands for ' + count(layers.bin) + ' of them, a bin, and shows the largest norm.'
        : ', one in each column.'));
    const image = picture(cells, columns, rows);
    const box = add(parent, 'div', null, {class: 'heat'});
    const canvas = add(box, 'canvas');
    const rowHeight = Math.max(2, Math.min(18, Math.floor(560 / rows)));
    const height = rows * rowHeight;
    let width = 0;
    let left = 0;
    const draw = () => {
      const ratio = devicePixelRatio;
      const whole = Math.max(320, box.clientWidth);
      left = labels(whole);
      width = whole - left - 8;
      canvas.width = whole * ratio;
      canvas.height = (TOP + height + BOTTOM) * ratio;
      canvas.style.width = whole + 'px';
      canvas.style.height = TOP + height + BOTTOM + 'px';
      const c = canvas.getContext('2d');
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.imageSmoothingEnabled = false;
      c.drawImage(image, left, TOP, width, height);
      c.strokeStyle = colour('rule');
      c.strokeRect(left - 0.5, TOP - 0.5, width + 1, height + 1);
      c.fillStyle = colour('text');
      c.font = '11px system-ui, "DejaVu Sans", sans-serif';
      c.textAlign = 'right';
      c.textBaseline = 'middle';
      const every = Math.ceil(13 / rowHeight);
      for (let i = 0; i < rows; i += every) {
        c.fillText(shortened(c, layers.names[i], left - 10), left - 6, TOP + (i + 0.5) * rowHeight);
      }
      c.textBaseline = 'top';
      c.textAlign = 'center';
      for (const [step, column] of roundSteps(layers.x, Math.max(2, Math.floor(width / 110)))) {
        const x = left + width * column / columns;
        c.fillRect(x, TOP + height, 1, 4);
        c.fillText(count(step), x, TOP + height + 7);
      }
      c.fillText('step', left + width / 2, TOP + height + 24);
    };
    draw();
    redrawers.push(draw);
    addEventListener('resize', draw);
    scale(parent, layers, one, cells);
    const tip = document.getElementById('tip');
    canvas.addEventListener('mousemove', event => {
      const column = Math.floor((event.offsetX - left) / width * columns);
      const row = Math.floor((event.offsetY - TOP) / rowHeight);
      tip.hidden = column < 0 || column >= columns || row < 0 || row >= rows;
      if (tip.hidden) return;
      const level = cells[row * columns + column];
      const value = level === NONE ? 'no norm' : level === NON_FINITE ? 'not finite' : level === ZERO ? 'norm 0'
        : 'norm about ' + Number(valueAt(layers, level).toPrecision(2)).toPrecision(2).replace('e+', 'e');
      const to = Math.max(layers.x[column], column === columns - 1 ? layers.x[columns] : layers.x[column + 1] - 1);
      const first = count(layers.x[column]);
      tip.textContent = layers.names[row] + ', ' + (layers.bin > 1 ? 'steps ' + first + '–' + count(to) : 'step ' + first)
        + ': ' + value;
      tip.style.left = Math.min(event.clientX + 14, innerWidth - 320) + 'px';
      tip.style.top = event.clientY + 14 + 'px';
    });
    canvas.addEventListener('mouseleave', () => tip.hidden = true);
  }

  /** The colours' key. */
  function scale(parent, layers, one, cells) {
    const entries = [];
    if (cells.includes(NON_FINITE)) entries.push(['not finite', c => swatch(c, NON_FINITE)]);
    if (cells.includes(ZERO)) entries.push(['norm 0', c => swatch(c, ZERO)]);
    if (cells.includes(NONE)) entries.push(['no norm', c => c.strokeRect(1.5, 1.5, 23, 11)]);
    if (layers.scale.length > 0) {
      const [low, high] = layers.scale.map(Math.log10);
      const canvas = add(parent, 'canvas');
      const draw = () => {
        const ratio = devicePixelRatio;
        const left = labels(Math.max(320, parent.clientWidth));
        const width = Math.min(420, Math.max(320, parent.clientWidth) - left - 40);
        canvas.width = (left + width + 40) * ratio;
        canvas.height = 46 * ratio;
        canvas.style.width = left + width + 40 + 'px';
        canvas.style.height = '46px';
        const c = canvas.getContext('2d');
        c.setTransform(ratio, 0, 0, ratio, 0, 0);
        for (let i = 0; i < width; i++) {
          c.fillStyle = 'rgb(' + viridis(low === high ? 1 : i / width).join(',') + ')';
          c.fillRect(left + i, 0, 1.5, 12);
        }
        c.fillStyle = colour('text');
        c.font = '12px system-ui, "DejaVu Sans", sans-serif';
        c.textAlign = 'center';
        c.textBaseline = 'top';
        const every = Math.ceil((high - low) / 7) || 1;
        const whole = [];
        for (let e = Math.ceil(low); e <= high; e++) if (e % every === 0) whole.push(e);
        const ticks = whole.length >= 2 ? whole : low === high ? [high] : [low, high];
        for (const e of ticks) {
          const x = left + (low === high ? 1 : (e - low) / (high - low)) * width;
          c.fillRect(x - 0.5, 12, 1, 3);
          c.fillText(Number.isInteger(e) ? power(e) : brief(Math.pow(10, e)), x, 16);
        }
        c.fillText('norm of a ' + one + ', before clipping (log)', left + width / 2, 31);
      };
      draw();
      redrawers.push(draw);
      addEventListener('resize', draw);
    }
    if (entries.length > 0) key(parent, entries);
  }

  function swatch(c, level) {
    c.fillStyle = 'rgb(' + rgb(level).slice(0, 3).join(',') + ')';
    c.fillRect(1, 1, 24, 12);
  }

  // ---- Shares of layers ----

  const MOST_ROWS = 20;

  function shares(parent, run) {
    const layers = run.layers;
    const one = layers.of === 'groups' ? 'group' : 'tensor';
    const rows = layers.names.map((name, i) => [name, layers.shares[i]]).filter(row => row[1] != null);
    if (rows.length === 0) return;
    rows.sort((a, b) => b[1] - a[1]);
    add(parent, 'h3', 'Share of the norm by ' + one);
    const p = run.normType || '2';
    add(parent, 'p', p === '1' ? '(norm of the ' + one + ' / sum of them), mean over steps.'
      : '(norm of the ' + one + ')' + (p === '2' ? '²' : '^' + p) + ' / the sum of these, mean over steps. '
        + 'The largest share comes first.');
    table(parent, rows.slice(0, MOST_ROWS), rows[0][1]);
    if (rows.length > MOST_ROWS) {
      const rest = add(parent, 'details');
      add(rest, 'summary', 'and ' + counted(rows.length - MOST_ROWS, one) + ' more');
      table(rest, rows.slice(MOST_ROWS), rows[0][1]);
    }
  }

  function table(parent, rows, largest) {
    const body = add(add(parent, 'table', null, {class: 'shares'}), 'tbody');
    for (const [name, share] of rows) {
      const row = add(body, 'tr');
      add(row, 'td', name, {title: name});
      add(row, 'td', percent(share, 1));
      add(add(row, 'td'), 'div', null, {class: 'bar', style: 'width:' + (100 * share / largest).toFixed(2) + '%'});
    }
  }

  // ---- A run ----

  function summary(parent, run) {
    const list = add(parent, 'dl');
    const fact = (term, value) => {
      const pair = add(list, 'div');
      add(pair, 'dt', term);
      add(pair, 'dd', value);
    };
    fact('steps', count(run.steps));
    fact('clipped', percent(run.clipped, run.steps));
    fact('skipped', count(run.skipped));
    fact('not finite', count(run.nonFinite));
    fact('median norm', brief(run.median));
    fact('95 % are at most', brief(run.p95));
    fact('largest norm', brief(run.largest));
    fact(run.thresholdVaries ? 'last threshold' : 'threshold',
      run.threshold === 'inf' ? 'none, only measured' : brief(run.threshold));
    if (run.seconds != null) fact('time', time(run.seconds));
    const facts = [];
    if (run.rule) facts.push('Rule ' + run.rule + (run.normType ? ', L' + run.normType + ' norm' : '') + '.');
    if (run.started != null) {
      facts.push('Begun ' + new Date(1000 * run.started).toISOString().replace('T', ' ').slice(0, 16) + ' UTC.');
    }
    if (run.zeros > 0) {
      facts.push(counted(run.zeros, 'norm') + ' of 0 ' + (run.zeros === 1 ? 'has' : 'have')
        + ' no place on a logarithmic axis.');
    }
    if (facts.length > 0) add(parent, 'p', facts.join(' '));
  }

  function show(run, index) {
    run.index = index;
    const section = add(document.getElementById('runs'), 'section');
    add(section, 'h2', run.name);
    summary(section, run);
    norms(section, run);
    shareClipped(section, run);
    if (run.layers) {
      heat(section, run);
      shares(section, run);
    }
  }

  const runs = JSON.parse(document.getElementById('data').textContent);
  document.title = runs.map(run => run.name).join(', ') + ' – gradclip report';
  document.getElementById('intro').textContent = 'The norm of all gradients in each step, before it was clipped. '
    + 'Made by gradclip report from ' + counted(runs.length, 'run file') + '.';
  runs.forEach(show);
  const redraw = () => redrawers.forEach(draw => draw());
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  document.documentElement.dataset.ready = Math.round(performance.now());
})();
