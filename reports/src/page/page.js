'use strict';
(async () => {
  const root = document.documentElement, find = id => document.getElementById(id);
  const unzip = text => new Response(new Blob([Uint8Array.from(atob(text), c => c.charCodeAt(0))]).stream()
    .pipeThrough(new DecompressionStream('gzip'))).text();
  const box = find('run');
  const run = JSON.parse(box.dataset.gzip === undefined ? box.textContent : await unzip(box.textContent));
  const views = ['brief', 'every'].map(find).filter(Boolean);
  const rowsOf = view => [...view.querySelectorAll('tr[data-step]')];
  const states = [...document.querySelectorAll('tr[data-v]')];
  let view = views[0], now = 0;
  root.classList.add('script');

  const value = (v, index) => {
    let at = v[1];
    for (const [i, text] of v[2]) { if (i > index) break; at = text; }
    return at;
  };
  const numbers = () => rowsOf(view).map(r => +r.dataset.step);
  const element = (name, text, cls) => {
    const e = document.createElement(name);
    if (text) e.textContent = text;
    if (cls) e.className = cls;
    return e;
  };

  function rows(no) {
    // From below: a call belongs to the first step in it, what waits for ever to the end.
    let later = no < run.last;
    for (const r of [...view.querySelectorAll('tbody tr')].reverse()) {
      if (r.dataset.step !== undefined) later = +r.dataset.step > no;
      r.classList.toggle('later', later);
      r.classList.toggle('now', +r.dataset.step === no);
    }
    return view.querySelector('tr.now');
  }

  function values(index) {
    for (const r of states) {
      const v = run.vars[+r.dataset.v], text = value(v, index);
      r.lastElementChild.textContent = text;
      r.classList.toggle('changed', v[2].some(c => c[0] === index));
      r.classList.toggle('freed', text === 'FREED');
    }
  }

  function note(step, no) {
    const box = find('note');
    box.textContent = '';
    box.classList.toggle('bug', no === run.bug);
    const who = element('p', 'Step ' + no + ': ' + run.who[step[0]]);
    box.append(who);
    if (run.stacks[step[2]]) box.append(element('p', 'in ' + run.stacks[step[2]], 'at'));
    for (const a of run.arrows) if (a[1] === no && a[4]) box.append(element('p', a[4]));
    if (no === run.bug && run.why) box.append(element('p', run.why));
  }

  function source(line) {
    for (const e of document.querySelectorAll('.source .now')) e.classList.remove('now');
    const li = line && find('line-' + line);
    if (!li) return;
    li.classList.add('now');
    const list = li.parentElement;
    list.scrollTop = li.offsetTop - list.offsetTop - list.clientHeight / 2;
  }

  function arrows(no) {
    const NS = 'http://www.w3.org/2000/svg';
    view.querySelector('svg.arrows')?.remove();
    const svg = document.createElementNS(NS, 'svg');
    svg.setAttribute('class', 'arrows');
    const base = view.getBoundingClientRect();
    svg.setAttribute('width', view.scrollWidth);
    svg.setAttribute('height', view.scrollHeight);
    const box = n => {
      const c = view.querySelector('tr[data-step="' + n + '"] code');
      const b = c && c.getBoundingClientRect();
      return b && { l: b.left - base.left + view.scrollLeft, r: b.right - base.left + view.scrollLeft, y: b.top - base.top + 9 };
    };
    const put = (name, attributes, text) => {
      const e = document.createElementNS(NS, name);
      for (const k in attributes) e.setAttribute(k, attributes[k]);
      if (text) e.textContent = text;
      svg.append(e);
    };
    for (const [from, to, says, label] of run.arrows) {
      if (from > no || to > no) continue;
      const a = box(from), b = box(to);
      if (!a || !b) continue;
      const right = b.l > a.r, left = a.l > b.r;
      const x0 = left ? a.l - 4 : a.r + 4, x1 = right ? b.l - 4 : b.r + 4, side = right ? -1 : 1;
      const colour = says === 'ordered' ? 'var(--ordered)' : 'var(--bug)';
      const bend = !right && !left ? Math.max(x0, x1) + 46 : 0;
      const mid = (x0 + x1) / 2;
      const d = bend ? `M${x0} ${a.y}C${bend} ${a.y} ${bend} ${b.y} ${x1 + 8} ${b.y}`
        : `M${x0} ${a.y}C${mid} ${a.y} ${mid} ${b.y} ${x1 + 8 * side} ${b.y}`;
      put('path', { d, fill: 'none', stroke: colour, 'stroke-width': 1.7, 'stroke-dasharray': says === 'not' ? '6 4' : 'none' });
      put('path', { d: `M${x1} ${b.y}l${9 * side} -4v8z`, fill: colour });
      put('text', {
        x: bend ? bend - 6 : mid, y: (a.y + b.y) / 2 + 4, 'text-anchor': bend ? 'start' : 'middle', fill: colour,
        stroke: 'var(--page)', 'stroke-width': 7, 'paint-order': 'stroke', 'font-size': 11, 'font-weight': 600,
      }, label);
    }
    view.append(svg);
    return svg.querySelectorAll('text').length;
  }

  function show(no, scroll) {
    const all = numbers();
    if (!all.includes(no)) {
      if (views[1] && view !== views[1]) { choose(views[1]); return show(no, scroll); }
      no = all.filter(n => n <= no).pop() ?? all[0];
    }
    if (no === undefined) return 0;
    now = no;
    const step = run.steps[no - run.first];
    const row = rows(no);
    values(no - 1);
    note(step, no);
    source(step[1]);
    const drawn = arrows(no);
    find('slider').max = all.length;
    find('slider').value = all.indexOf(no) + 1;
    find('where').value = 'step ' + no + ' of ' + run.last;
    document.body.dataset.step = no;
    if (scroll && row) row.scrollIntoView({ block: 'nearest' });
    history.replaceState(null, '', '#step=' + no);
    return drawn;
  }

  function choose(next) {
    view = next;
    for (const v of views) v.classList.toggle('hidden', v !== view);
    find('all').setAttribute('aria-pressed', view === views[1]);
  }

  const by = n => { const all = numbers(); show(all[Math.min(all.length - 1, Math.max(0, all.indexOf(now) + n))], true); };
  const who = no => run.steps[no - run.first][0];
  function switchTo(n) {
    const all = numbers();
    let i = all.indexOf(now);
    const from = who(all[i]);
    while (all[i + n] !== undefined && who(all[i]) === from) i += n;
    show(all[i], true);
  }
  const other = () => { if (views[1]) { choose(view === views[0] ? views[1] : views[0]); show(now, true); } };
  const dark = () => root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const theme = () => { root.dataset.theme = dark() ? 'light' : 'dark'; };
  const copy = () => navigator.clipboard?.writeText(find('text').textContent);
  const help = () => { const d = find('help'); d.open ? d.close() : d.showModal(); };
  const bug = () => show(run.bug || run.last, true);
  const actions = {
    back: () => by(-1), step: () => by(1), bug, all: other, theme, copy, keys: help, close: help,
  };
  for (const id in actions) find(id).addEventListener('click', actions[id]);
  find('slider').addEventListener('input', e => show(numbers()[e.target.value - 1], true));
  const keys = {
    ArrowLeft: e => e.shiftKey ? switchTo(-1) : by(-1), ArrowRight: e => e.shiftKey ? switchTo(1) : by(1),
    h: () => by(-1), l: () => by(1), H: () => switchTo(-1), L: () => switchTo(1), b: bug, a: other, t: theme, c: copy, '?': help,
    Home: () => show(numbers()[0], true), End: () => show(numbers().pop(), true),
  };
  addEventListener('keydown', e => {
    const own = e.target.matches?.('input') && e.key.startsWith('Arrow');
    if (!keys[e.key] || own || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    keys[e.key](e);
  });
  for (const g of document.querySelectorAll('figure g[data-step]')) g.addEventListener('click', () => show(+g.dataset.step, true));
  for (const v of views) for (const r of rowsOf(v)) r.addEventListener('click', () => show(+r.dataset.step));
  const linked = () => {
    const no = /^#step[-=](\d+)$/.exec(location.hash);
    if (no) show(+no[1], true);
    return no;
  };
  addEventListener('hashchange', linked);
  addEventListener('resize', () => arrows(now));

  find('bug').hidden = !run.bug;
  find('all').hidden = !views[1];
  choose(views[0]);
  if (location.hash === '#selftest') {
    let n = 0, error = '';
    for (const v of views) {
      choose(v);
      const all = numbers(), seen = new Map();
      const look = () => states.map(r => r.lastElementChild.textContent + ['changed', 'freed'].map(c => r.classList.contains(c))).join('|') + document.querySelectorAll('tr.now').length;
      for (const no of all) {
        const drawn = show(no);
        const due = run.arrows.filter(a => a[0] <= no && a[1] <= no && all.includes(a[0]) && all.includes(a[1])).length;
        if (drawn !== due) error = 'step ' + no + ': ' + drawn + ' arrows, not ' + due;
        if (v.querySelectorAll('tr.now').length !== 1) error = 'step ' + no + ' has no row';
        seen.set(no, look());
        n++;
      }
      for (const no of [...all].reverse()) {
        show(no);
        if (seen.get(no) !== look()) error = 'step ' + no + ' differs on the way back';
      }
    }
    choose(views[0]);
    bug();
    document.body.dataset.selftest = error || 'ok ' + n;
  } else if (!linked()) {
    bug();
    scrollTo(0, 0);
  }
})();
