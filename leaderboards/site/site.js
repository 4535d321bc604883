/* Tables that sort and filter, and the page of a row. No library, no network, text only as text. */
"use strict";

const metabench = (() => {
  const CHUNK = 80;
  const AUDITED = { passed: "✓", violated: "✗" };
  const parts = [];
  let tableConfig = null;
  let cellIndex = null;

  // ---- elements ------------------------------------------------------------------------------

  const SVG = "http://www.w3.org/2000/svg";

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  }

  function drawn(tag, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  /* A name may be written from right to left; it must not turn its surroundings round. */
  const isolated = (text) => element("bdi", {}, text);
  const unseen = (text) => element("span", { class: "unseen" }, text);

  // ---- numbers -------------------------------------------------------------------------------

  const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const MINUS = "\u2212";
  const signed = (text) => text.replace(/^-/, MINUS);

  function fixed(value, digits) {
    const text = value.toFixed(digits);
    return signed(Number(text) === 0 ? (0).toFixed(digits) : text);
  }

  /* Four digits after the point for errors near 1, fewer for large ones; the spread as many. */
  function compact(value, like = value) {
    const size = Math.abs(like);
    if (size >= 1e5 || (size !== 0 && size < 1e-3)) return signed(value.toExponential(2));
    return fixed(value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 2 ? 3 : 4);
  }

  const brief = (value) =>
    value === 0 ? "0" : value >= 100 ? grouped.format(value) : fixed(value, value >= 10 ? 1 : value >= 1 ? 2 : 3);
  const scored = (value, percent, like) => (percent ? fixed(100 * value, 2) : compact(value, like));
  const known = (value) => value !== null && value !== undefined && value !== "";

  // ---- addresses -----------------------------------------------------------------------------

  const escaped = (name) => encodeURIComponent(name).replaceAll("%2F", "/");

  function unescaped(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  // ---- the rows of all parts as one table ----------------------------------------------------

  function joined(given) {
    const columns = {};
    const sections = [];
    let length = 0;
    const names = new Set(given.flatMap((part) => Object.keys(part.columns)));
    for (const name of names) columns[name] = [];
    for (const part of given) {
      for (const name of names) {
        const column = part.columns[name];
        const into = columns[name];
        for (let i = 0; i < part.length; i += 1) {
          let value = null;
          if (column) value = Array.isArray(column) ? column[i] : column.values[column.index[i]];
          into.push(name === "section" && value !== null ? value + sections.length : value);
        }
      }
      for (const section of part.sections) sections.push({ ...section, page: part.page });
      length += part.length;
    }
    return { columns, sections, length };
  }

  // ---- a table -------------------------------------------------------------------------------

  class Table {
    constructor(root, config, data) {
      this.root = root;
      this.config = config;
      this.data = data;
      this.body = root.querySelector("tbody");
      this.head = root.querySelector("thead");
      this.status = root.querySelector("[data-status]");
      this.more = root.querySelector("[data-more]");
      this.order = [];
      this.shown = 0;
      this.sort = { key: "", down: false };
      this.filters = new Map();
      this.orders = new Map();
      this.buildControls();
      this.readAddress();
      const narrow = matchMedia("(max-width: 43.99rem)");
      const fold = () => { root.querySelector("[data-folded]").open = !narrow.matches; };
      if (!location.hash) fold();
      narrow.addEventListener("change", fold);
      this.update();
      this.more.addEventListener("click", () => this.append(this.order.length));
      addEventListener("hashchange", () => {
        this.readAddress();
        this.update();
      });
      addEventListener("beforeprint", () => this.append(this.order.length));
      new IntersectionObserver(
        (seen) => {
          if (seen.some((one) => one.isIntersecting)) this.append(this.shown + CHUNK);
        },
        { rootMargin: "600px" },
      ).observe(this.more);
    }

    value(key, row) {
      const column = this.data.columns[key];
      return column ? column[row] : null;
    }

    section(row) {
      return this.data.sections[this.value("section", row)] || null;
    }

    identity(row) {
      const section = this.section(row);
      const encoder = this.value("encoder", row);
      return `${section.name}/${encoder === null ? "" : `${encoder}/`}${this.value("algorithm", row)}`;
    }

    // -- filters

    buildControls() {
      const box = this.root.querySelector("[data-filters]");
      const label = (text, control) => element("label", {}, element("span", {}, text), control);
      this.search = element("input", { type: "search", placeholder: "name, plugin, reason …" });
      this.search.addEventListener("input", () => this.changed());
      box.append(label("Find", this.search));
      for (const filter of this.config.filters) {
        const options = this.optionsOf(filter);
        if (options.length < 3 && !filter.always) continue;
        const select = element("select", { "data-filter": filter.key });
        for (const [value, text] of options) select.append(element("option", { value }, text));
        select.value = filter.first || "";
        select.addEventListener("change", () => this.changed());
        this.filters.set(filter.key, { select, filter });
        box.append(label(filter.label, select));
      }
      this.sorting = element("select", { "data-sort": "" }, element("option", { value: "" }, "the table’s own order"));
      for (const column of this.config.columns) {
        if (column.sort === false) continue;
        for (const down of column.down ? [true, false] : [false, true]) {
          const value = (down ? "-" : "") + column.key;
          this.sorting.append(element("option", { value }, `${column.label} ${down ? "↓" : "↑"}`));
        }
      }
      this.sorting.addEventListener("change", () => {
        this.sortBy(this.sorting.value);
        this.changed();
      });
      box.append(label("Sort by", this.sorting));
      if (this.config.grouped) {
        this.together = element("input", { type: "checkbox", checked: "" });
        this.together.addEventListener("change", () => this.changed());
        const text = element("span", {}, "Keep sections together");
        box.append(element("label", { class: "check" }, this.together, text));
      }
      const clear = element("button", { type: "button", class: "plain" }, "Clear");
      clear.addEventListener("click", () => {
        this.reset();
        this.changed();
        this.search.focus();
      });
      box.append(clear);
    }

    optionsOf(filter) {
      if (filter.options) return filter.options;
      const values = [...new Set(this.data.columns[filter.key])].filter(known);
      const text = (value) => (filter.texts || {})[value] || String(value);
      values.sort((a, b) => String(a).localeCompare(String(b)));
      return [["", "all"], ...values.map((value) => [String(value), text(value)])];
    }

    reset() {
      this.search.value = "";
      for (const { select, filter } of this.filters.values()) select.value = filter.first || "";
      if (this.together) this.together.checked = true;
      this.target = "";
      this.sortBy("");
    }

    sortBy(text) {
      this.sort = { key: text.replace(/^-/, ""), down: text.startsWith("-") };
      this.sorting.value = text;
    }

    keeps() {
      const tests = [];
      for (const [key, { select, filter }] of this.filters) {
        const wanted = select.value;
        const column = this.data.columns[key];
        if (wanted === "" || !column) continue;
        if (filter.key === "status" && wanted === "applicable") {
          tests.push((row) => column[row] !== "inapplicable");
        } else {
          tests.push((row) => String(column[row]) === wanted);
        }
      }
      const words = this.search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      if (words.length) {
        const columns = this.config.searched.map((key) => this.data.columns[key]).filter(Boolean);
        tests.push((row) => {
          const text = columns.map((column) => column[row]).join(" ").toLocaleLowerCase();
          return words.every((word) => text.includes(word));
        });
      }
      return (row) => tests.every((test) => test(row));
    }

    // -- address: what is filtered and how it is sorted can be linked to

    readAddress() {
      const given = new URLSearchParams(location.hash.slice(1));
      this.reset();
      this.search.value = given.get("find") || "";
      for (const [key, { select }] of this.filters) {
        if (!given.has(key)) continue;
        select.value = given.get(key);
        if (select.selectedIndex < 0) select.value = "";
      }
      if (this.together) this.together.checked = given.get("together") !== "no";
      const sort = given.get("sort") || "";
      if ([...this.sorting.options].some((option) => option.value === sort)) this.sortBy(sort);
      this.target = given.get("row") || "";
    }

    changed() {
      const state = new URLSearchParams();
      if (this.search.value) state.set("find", this.search.value);
      for (const [key, { select, filter }] of this.filters) {
        if (select.value !== (filter.first || "")) state.set(key, select.value);
      }
      if (this.together && !this.together.checked) state.set("together", "no");
      if (this.sorting.value) state.set("sort", this.sorting.value);
      const text = state.toString();
      history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
      this.target = "";
      this.update();
    }

    // -- order

    /* Every row's place under a column, found once: sorting then compares whole numbers. */
    placesOf(key) {
      if (!this.orders.has(key)) {
        const column = this.data.columns[key];
        const texts = column.some((value) => typeof value === "string");
        const values = [...new Set(column)].filter(known);
        const collator = new Intl.Collator("en", { numeric: true });
        values.sort(texts ? (a, b) => collator.compare(a, b) : (a, b) => a - b);
        const places = new Map(values.map((value, place) => [value, place]));
        this.orders.set(key, column.map((value) => (known(value) ? places.get(value) : -1)));
      }
      return this.orders.get(key);
    }

    sorted(rows) {
      const { key, down } = this.sort;
      if (!key || !this.data.columns[key]) return rows;
      const places = this.placesOf(key);
      const together = this.together && this.together.checked;
      const section = this.data.columns.section;
      const sections = this.data.sections;
      const turned = (row) => key === "mean" && section && !sections[section[row]].higher;
      return rows.sort((a, b) => {
        if (together && section[a] !== section[b]) return section[a] - section[b];
        if (places[a] < 0 || places[b] < 0) return (places[a] < 0) - (places[b] < 0) || a - b;
        const rising = places[a] - places[b] || a - b;
        // Best first is what "score, falling" asks for, also where small errors are good.
        return down !== Boolean(together && turned(a)) && places[a] !== places[b] ? -rising : rising;
      });
    }

    // -- drawing

    update() {
      let keep = this.keeps();
      const all = Array.from({ length: this.data.length }, (_, row) => row);
      let place = -1;
      if (this.target) {
        const row = all.find((one) => this.identity(one) === this.target);
        if (row !== undefined && !keep(row)) {
          for (const { select } of this.filters.values()) select.value = "";
          this.search.value = "";
          keep = this.keeps();
        }
        this.order = this.sorted(all.filter(keep));
        place = row === undefined ? -1 : this.order.indexOf(row);
      } else {
        this.order = this.sorted(all.filter(keep));
      }
      this.grouped = Boolean(this.together && this.together.checked);
      this.columns = this.config.columns.filter((column) => !(column.ungrouped && this.grouped));
      this.drawHead();
      this.body.replaceChildren();
      this.shown = 0;
      this.append(Math.max(CHUNK, place + 20));
      if (this.data.length === 0) {
        this.say("There are no rows");
      } else {
        const missing = this.data.length - this.order.length;
        const hidden = missing ? `, ${grouped.format(missing)} hidden by filters` : "";
        this.say(`${grouped.format(this.order.length)} of ${grouped.format(this.data.length)} rows${hidden}`);
      }
      if (this.target) this.showTarget(place);
    }

    say(text) {
      this.status.textContent = text;
    }

    showTarget(place) {
      if (place < 0) {
        this.say(`No row of this table is ${this.target}`);
        return;
      }
      const row = this.body.querySelector(`tr[data-row="${this.order[place]}"]`);
      row.classList.add("target");
      row.scrollIntoView({ block: "center" });
      row.focus({ preventScroll: true });
    }

    drawHead() {
      const line = element("tr");
      for (const column of this.columns) {
        const active = column.key === this.sort.key && column.sort !== false;
        const cell = element("th", { scope: "col", class: this.classes(column), title: column.title });
        if (column.sort === false) {
          cell.append(column.label);
        } else {
          if (active) cell.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
          const mark = element("span", { class: "arrow", "aria-hidden": "true" });
          mark.textContent = active ? (this.sort.down ? "↓" : "↑") : "";
          const button = element("button", { type: "button", "data-key": column.key }, column.label, mark);
          button.addEventListener("click", () => this.clicked(column));
          cell.append(button);
        }
        line.append(cell);
      }
      this.head.replaceChildren(line);
    }

    clicked(column) {
      const first = Boolean(column.down);
      const again = this.sort.key === column.key;
      const stop = again && this.sort.down !== first;
      const down = again ? !this.sort.down : first;
      this.sortBy(stop ? "" : (down ? "-" : "") + column.key);
      this.changed();
      const button = [...this.head.querySelectorAll("button")].find((one) => one.dataset.key === column.key);
      if (button) button.focus();
    }

    classes(column) {
      const side = ["name", "learner", "text", "interval"].includes(column.as) ? "left" : "right";
      return `${side} as-${column.as}${column.from ? ` from-${column.from}` : ""}`;
    }

    append(until) {
      const end = Math.min(until, this.order.length);
      const lines = document.createDocumentFragment();
      for (let place = this.shown; place < end; place += 1) {
        const row = this.order[place];
        const section = this.section(row);
        const before = place ? this.section(this.order[place - 1]) : null;
        if (this.grouped && section && section !== before) lines.append(this.heading(section));
        lines.append(this.line(row, section));
      }
      this.body.append(lines);
      this.shown = Math.max(this.shown, end);
      const left = this.order.length - this.shown;
      this.more.hidden = left === 0;
      this.more.textContent = `Show the other ${grouped.format(left)} rows`;
    }

    heading(section) {
      const facts = [...section.facts];
      if (section.metric) {
        const metric = section.percent ? `${section.metric} %` : section.metric;
        const way = section.higher ? "" : ", smaller is better";
        facts.push(`${metric}${way}`, `chance ${scored(section.chance, section.percent)}`);
      }
      if (section.blocks > 1) facts.push(`${section.blocks} blocks ranked apart`);
      return element(
        "tr",
        { class: "section" },
        element(
          "th",
          { scope: "rowgroup", colspan: this.columns.length },
          element("strong", {}, isolated(section.source)),
          " ",
          element("span", { class: "protocol" }, isolated(section.protocol)),
          element("span", { class: "facts" }, facts.join(" · ")),
        ),
      );
    }

    line(row, section) {
      const ranked = known(this.value(this.config.scored, row));
      const best = this.value("rank_low", row) === 1 || this.value("rank", row) === 1;
      const kind = `${ranked ? "" : "missing"}${ranked && best ? "best" : ""}`;
      const line = element("tr", { "data-row": row, tabindex: "-1", class: kind });
      for (const column of this.columns) {
        const name = column.as === "learner" || column.as === "name";
        const cell = element(name ? "th" : "td", { class: this.classes(column), scope: name ? "row" : null });
        this.fill(cell, column, row, section);
        line.append(cell);
      }
      return line;
    }

    fill(cell, column, row, section) {
      const value = this.value(column.key, row);
      switch (column.as) {
        case "learner":
          this.fillLearner(cell, row);
          return;
        case "name":
          this.fillName(cell, row);
          return;
        case "ties":
          fillTies(cell, value, this.value("rank_high", row), section.ranked);
          return;
        case "group":
          fillTies(cell, value, this.value("group_high", row), section.groups);
          return;
        case "score":
          this.fillScore(cell, value, row, section);
          return;
        case "interval":
          if (known(this.value("mean", row))) cell.append(this.interval(row, section));
          return;
        case "spread":
          this.fillSpread(cell, value, row, column);
          return;
        case "coverage":
          cell.append(`${this.value("cells_ok", row)}/${this.value("cells_applicable", row)}`);
          this.sayMissing(cell, row);
          if (this.value("cells_ok", row) < this.value("cells_applicable", row)) cell.classList.add("warn");
          return;
        default:
          fillPlain(cell, value, column);
      }
    }

    fillLearner(cell, row) {
      const identity = this.identity(row);
      const name = String(this.value("algorithm", row));
      cell.append(element("a", { href: `cell.html#${escaped(identity)}` }, isolated(name)));
      this.marks(cell, row);
      const section = this.section(row);
      const here = `${section.page}#row=${encodeURIComponent(identity)}`;
      cell.append(element("a", { class: "permalink", href: here, "aria-label": `Link to this row, ${name}` }, "#"));
      const encoder = this.value("encoder", row);
      const second = [encoder === "none" ? "" : encoder, this.grouped ? "" : section.name];
      cell.append(element("span", { class: "second" }, isolated(second.filter(Boolean).join(" · "))));
    }

    fillName(cell, row) {
      const name = String(this.value("algorithm", row));
      cell.append(element("a", { href: `results.html#find=${encodeURIComponent(name)}` }, isolated(name)));
      this.marks(cell, row);
      const identity = this.identity(row);
      const here = `index.html#row=${encodeURIComponent(identity)}`;
      cell.append(element("a", { class: "permalink", href: here, "aria-label": `Link to this row, ${name}` }, "#"));
      if (!this.grouped) cell.append(element("span", { class: "second always" }, this.value("encoder_policy", row)));
      if (!known(this.value("rank", row))) cell.append(element("span", { class: "second" }, this.lacking(row)));
    }

    // Where the column of the coverage is hidden: why a learner has no rank.
    lacking(row) {
      const [ok, applicable] = [this.value("cells_ok", row), this.value("cells_applicable", row)];
      const cells = ok < applicable ? [`${ok} of ${applicable} cells`] : [];
      return [...cells, ...this.missing(row)].join(", ");
    }

    marks(cell, row) {
      if (this.value("inductive", row) === false) {
        cell.append(element("span", { class: "mark", "aria-hidden": "true", title: "transductive" }, "†"), unseen(" transductive"));
      }
      const audited = this.value("audited", row);
      if (AUDITED[audited]) {
        const title = `audit ${audited}`;
        cell.append(element("span", { class: `mark ${audited}`, "aria-hidden": "true", title }, AUDITED[audited]), unseen(` ${title}`));
      }
    }

    missing(row) {
      const kinds = [["blocks_not_run", "blocks not run"], ["cells_unavailable", "cells unavailable"]];
      return kinds.filter(([key]) => this.value(key, row)).map(([key, words]) => `${this.value(key, row)} ${words}`);
    }

    sayMissing(cell, row) {
      const text = this.missing(row).join(", ");
      if (text) cell.append(element("span", { class: "second always lacking" }, text));
    }

    fillScore(cell, value, row, section) {
      if (!known(value)) {
        const status = this.value("status", row);
        cell.append(element("span", { class: `status ${status}` }, status), " ");
        const reason = this.value("reason", row) || "";
        cell.append(element("span", { class: "reason", title: reason }, reason));
        return;
      }
      const low = this.value("ci95_low", row);
      const high = this.value("ci95_high", row);
      cell.append(scored(value, section.percent));
      if (known(low) && known(high)) {
        cell.append(element("span", { class: "spread" }, ` ± ${scored((high - low) / 2, section.percent, value)}`));
      }
    }

    fillSpread(cell, value, row, column) {
      if (!known(value)) {
        cell.append(element("span", { class: "none" }, "–"), " ", element("span", { class: "aligned" }));
        return;
      }
      const low = this.value(`${column.ends}_low`, row);
      const high = this.value(`${column.ends}_high`, row);
      cell.append(fixed(value, column.digits));
      const ends = known(low) ? `[${fixed(low, 2)}, ${fixed(high, 2)}]` : "";
      cell.append(" ", element("span", { class: "spread aligned" }, ends));
    }

    interval(row, section) {
      const width = 112;
      const inside = (value) => {
        const share = (value - section.low) / (section.high - section.low || 1);
        return 4 + (width - 8) * Math.min(1, Math.max(0, share));
      };
      const [mean, low, high] = ["mean", "ci95_low", "ci95_high"].map((key) => this.value(key, row));
      const chance = inside(section.chance);
      const picture = drawn("svg", { width, height: 14, class: "interval", "aria-hidden": "true" });
      picture.append(drawn("line", { x1: 4, x2: width - 4, y1: 7, y2: 7, class: "axis" }));
      picture.append(drawn("line", { x1: chance, x2: chance, y1: 2, y2: 12, class: "chance" }));
      if (known(low)) {
        const ends = [inside(low), inside(high)].sort((a, b) => a - b);
        const wide = Math.max(1, ends[1] - ends[0]);
        picture.append(drawn("rect", { x: ends[0], width: wide, y: 4, height: 6, class: "range" }));
      }
      picture.append(drawn("circle", { cx: inside(mean), cy: 7, r: 2.6, class: "dot" }));
      return picture;
    }
  }

  function fillTies(cell, low, high, all) {
    if (!known(low)) {
      cell.append("–");
      return;
    }
    cell.append(element("span", { class: "rank" }, low === high ? String(low) : `${low}–${high}`));
    const count = Math.max(all, high);
    const picture = drawn("svg", { viewBox: `0 0 ${count} 1`, preserveAspectRatio: "none", class: "ties", "aria-hidden": "true" });
    picture.append(drawn("rect", { x: 0, y: 0.4, width: count, height: 0.2, class: "axis" }));
    picture.append(drawn("rect", { x: low - 1, y: 0, width: high - low + 1, height: 1, class: "range" }));
    cell.append(picture);
  }

  function fillPlain(cell, value, column) {
    if (!known(value)) {
      cell.append(element("span", { class: "none" }, "–"));
      return;
    }
    if (typeof value === "string") cell.append(isolated(value === "none" ? "–" : value));
    else if (typeof value === "boolean") cell.append(value ? "yes" : "no");
    else if (column.as === "whole") cell.append(grouped.format(value));
    else if (column.as === "short") cell.append(brief(value));
    else if (column.as === "percent") cell.append(fixed(100 * value, 1));
    else if (column.as === "any") cell.append(Number.isInteger(value) ? grouped.format(value) : compact(value));
    else cell.append(fixed(value, column.digits));
    if (column.as === "heat") cell.classList.add(`heat-${step(value)}`);
  }

  /* The steps of the heat map: three below chance, ten above. */
  function step(value) {
    if (value <= -0.005) return value < -0.25 ? "n3" : value < -0.05 ? "n2" : "n1";
    return String(Math.max(0, Math.min(9, Math.floor(value * 10 + 1e-9))));
  }

  // ---- the page of a row ---------------------------------------------------------------------

  const chunks = new Map();

  function showCell() {
    const root = document.querySelector("[data-cell]");
    const identity = unescaped(location.hash.slice(1));
    delete root.dataset.ready;
    const found = cellIndex
      .filter((section) => identity.startsWith(`${section.name}/`))
      .sort((a, b) => b.name.length - a.name.length)[0];
    if (!found) {
      tell(root, identity ? `No section of these tables holds a row ${identity}` : "No row was asked for");
      return;
    }
    if (chunks.has(found.name)) {
      drawCell(root, identity, found);
      return;
    }
    const script = element("script", { src: found.file });
    script.addEventListener("load", () => drawCell(root, identity, found));
    script.addEventListener("error", () => tell(root, `The file ${found.file} is missing beside this page`));
    document.head.append(script);
  }

  function tell(root, text) {
    document.title = "Row not found · metabench";
    root.dataset.ready = "";
    root.replaceChildren(
      element("h1", {}, "Row not found"),
      element("p", {}, `${text}. `, element("a", { href: "results.html" }, "All results")),
    );
  }

  function drawCell(root, identity, section) {
    const row = (chunks.get(section.name) || {})[identity];
    if (!row) {
      tell(root, `The section ${section.name} holds no row ${identity}`);
      return;
    }
    const values = row.values;
    root.dataset.ready = "";
    document.title = `${values.algorithm} on ${values.source} · metabench`;
    root.replaceChildren(
      ...cellHead(values, identity, section),
      cellNumbers(values, section),
      element("h2", {}, "Run it again"),
      element("pre", { tabindex: "0", class: "command" }, element("code", {}, row.command)),
      element("p", { class: "note" }, "With the versions below it gives the same numbers on the same machine and device. If the suite has changed since, the new record has another protocol digest than the one below."),
      ...pictures(row, values, section),
      element("h2", {}, "Seeds"),
      seedTable(row, section),
      ...facts(row, values),
    );
  }

  function cellHead(values, identity, section) {
    const where = [values.source, values.protocol, values.encoder === "none" ? "" : values.encoder];
    const trail = element(
      "p",
      { class: "trail" },
      element("a", { href: section.page }, isolated(values.domain)),
      " / ",
      element("a", { href: `${section.page}#row=${encodeURIComponent(identity)}` }, "row in its table"),
      " / ",
      element("a", { href: `results.html#find=${encodeURIComponent(values.algorithm)}` }, "all rows of this algorithm"),
    );
    const title = element("h1", {}, isolated(values.algorithm));
    if (!values.inductive) title.append(element("span", { class: "tag" }, "transductive"));
    if (values.audited !== "not audited") title.append(element("span", { class: "tag" }, `audit ${values.audited}`));
    const lines = element("p", { class: "lead" });
    where.filter(Boolean).forEach((name, i) => lines.append(i ? " · " : "", isolated(name)));
    return [trail, title, lines];
  }

  function definitions(pairs, kind = "facts") {
    const list = element("dl", { class: kind });
    for (const [name, value] of pairs) {
      if (!known(value)) continue;
      const shown = value instanceof Node ? value : isolated(String(value));
      list.append(element("div", {}, element("dt", {}, name), element("dd", {}, shown)));
    }
    return list;
  }

  function cellNumbers(values, section) {
    const percent = section.percent;
    const unit = percent ? `${values.metric} %` : values.metric;
    if (!known(values.mean)) {
      return definitions([["status", values.status], ["reason", values.reason]], "numbers");
    }
    const interval = known(values.ci95_low)
      ? `${scored(values.ci95_low, percent)} … ${scored(values.ci95_high, percent)}`
      : "too few scores";
    return definitions(
      [
        [unit, scored(values.mean, percent)],
        [`95 % interval${known(values.ci_over) ? `, over ${values.ci_over}` : ""}`, interval],
        ["rank", values.rank_low === values.rank_high ? values.rank_low : `${values.rank_low}–${values.rank_high}`],
        ["chance", scored(values.chance, percent)],
        ["normalised", known(values.normalized) ? fixed(values.normalized, 3) : null],
        ["episodes", grouped.format(values.episodes)],
        ["train seconds", known(values.train_seconds) ? brief(values.train_seconds) : null],
        ["adapt ms per task", known(values.adapt_ms_per_task) ? brief(values.adapt_ms_per_task) : null],
        ["weights", known(values.parameters) ? grouped.format(values.parameters) : null],
        ["note", values.reason],
      ],
      "numbers",
    );
  }

  // -- charts

  function ticks(low, high, wanted = 4) {
    const raw = (high - low) / wanted || 1;
    const size = 10 ** Math.floor(Math.log10(raw));
    const steps = [1, 2, 5, 10].map((one) => one * size);
    const gap = steps.find((one) => one >= raw) || steps[3];
    const found = [];
    for (let at = Math.ceil(low / gap - 1e-9) * gap; at <= high + gap * 1e-9; at += gap) found.push(at);
    return { found, digits: Math.max(0, -Math.floor(Math.log10(gap) + 1e-9)) };
  }

  class Chart {
    constructor(label, x, y, names) {
      [this.left, this.top, this.width, this.height] = [52, 10, 330, 170];
      this.x = x;
      this.y = y;
      this.picture = drawn("svg", { viewBox: "0 0 400 230", class: "chart", role: "img", "aria-label": label });
      for (const [axis, name] of [["x", names[0]], ["y", names[1]]]) this.axis(axis, name);
    }

    at(x, y) {
      const across = (x - this.x[0]) / (this.x[1] - this.x[0] || 1);
      const up = (y - this.y[0]) / (this.y[1] - this.y[0] || 1);
      return [this.left + across * this.width, this.top + (1 - up) * this.height];
    }

    axis(axis, name) {
      const level = axis === "y";
      const [low, high] = this[axis];
      const { found, digits } = ticks(low, high);
      for (const value of found) {
        const [x, y] = level ? this.at(this.x[0], value) : this.at(value, this.y[0]);
        const text = Math.abs(value) >= 1e4 ? grouped.format(value) : fixed(value, digits);
        if (level) this.add("line", { x1: x, x2: x + this.width, y1: y, y2: y, class: "grid" });
        const place = level ? { x: x - 6, y: y + 4, "text-anchor": "end" } : { x, y: y + 16, "text-anchor": "middle" };
        this.add("text", place, text);
      }
      const place = level
        ? { transform: `translate(12 ${this.top + this.height / 2}) rotate(-90)`, "text-anchor": "middle" }
        : { x: this.left + this.width / 2, y: this.top + this.height + 36, "text-anchor": "middle" };
      this.add("text", place, name);
    }

    add(tag, attributes, ...children) {
      this.picture.append(drawn(tag, attributes, ...children));
    }

    line(points, kind) {
      this.add("polyline", { points: points.map(([x, y]) => this.at(x, y).join(",")).join(" "), class: kind });
      for (const [x, y] of points) {
        const [cx, cy] = this.at(x, y);
        this.add("circle", { cx, cy, r: 2.5, class: kind });
      }
    }
  }

  function figure(picture, caption) {
    return element("figure", {}, picture, element("figcaption", {}, caption));
  }

  function pictures(row, values, section) {
    const found = [];
    if (row.histogram) found.push(histogramFigure(row, values, section));
    const curves = row.seeds.filter((seed) => seed.curve.length);
    if (curves.length) found.push(curveFigure(curves, 2, "score on meta-val", "Learning curve: what selection saw (larger is better)"));
    if (curves.length) found.push(curveFigure(curves, 1, "training loss", "Training loss"));
    const drawnOnes = found.filter(Boolean);
    if (!drawnOnes.length) return [];
    return [element("h2", {}, "Scores and training"), element("div", { class: "charts" }, ...drawnOnes)];
  }

  function histogramFigure(row, values, section) {
    const { low, high, counts, below, above } = row.histogram;
    const factor = section.percent ? 100 : 1;
    const most = Math.max(...counts);
    const metric = section.percent ? `${values.metric} %` : values.metric;
    const unit = row.unit === "tasks" ? "tasks" : "episodes";
    const chart = new Chart(`Histogram of ${metric} per ${unit}`, [low * factor, high * factor], [0, most * 1.12], [`${metric} of one of the ${unit}`, unit]);
    const size = ((high - low) * factor) / counts.length;
    counts.forEach((count, i) => {
      const [x, y] = chart.at(low * factor + i * size, count);
      const [right, bottom] = chart.at(low * factor + (i + 1) * size, 0);
      const bar = drawn("rect", { x: x + 0.5, y, width: Math.max(0.5, right - x - 1), height: bottom - y, class: "bar" });
      bar.append(drawn("title", {}, `${count}`));
      chart.picture.append(bar);
    });
    for (const [value, kind, text] of [[values.chance, "chance", "chance"], [values.mean, "mean", "mean"]]) {
      if (value < low || value > high) continue;
      const [x, y] = chart.at(value * factor, chart.y[1]);
      const late = x > chart.left + 0.6 * chart.width;
      chart.add("line", { x1: x, x2: x, y1: y, y2: y + chart.height, class: kind });
      chart.add("text", { x: late ? x - 4 : x + 4, y: y + 9, "text-anchor": late ? "end" : "start", class: "label" }, text);
    }
    const outside = below + above ? ` ${below + above} further out are not shown.` : "";
    return figure(chart.picture, `Score of each of the ${unit}, all seeds.${outside}`);
  }

  function curveFigure(seeds, which, name, caption) {
    const lines = seeds.map((seed) => seed.curve.filter((point) => known(point[which]) && known(point[0])).map((point) => [point[0], point[which]]));
    const points = lines.flat();
    if (!points.length) return null;
    const xs = points.map((point) => point[0]);
    const ys = points.map((point) => point[1]);
    const spread = Math.max(...ys) - Math.min(...ys) || Math.abs(ys[0]) * 0.1 || 1;
    const chart = new Chart(caption, [0, Math.max(...xs)], [Math.min(...ys) - 0.08 * spread, Math.max(...ys) + 0.08 * spread], ["meta-training examples", name]);
    lines.forEach((line, i) => chart.line(line, `line line-${i % 6}`));
    return figure(chart.picture, seeds.length > 1 ? `${caption}; one line per seed.` : `${caption}.`);
  }

  // -- tables of the page

  function simpleTable(head, lines, left = 1) {
    const cells = (line, tag) => line.map((value, i) => element(tag, { class: i < left ? "left" : "right", scope: tag === "th" ? "col" : null }, known(value) ? isolated(String(value)) : "–"));
    const body = element("tbody", {}, ...lines.map((line) => element("tr", {}, ...cells(line, "td"))));
    const table = element("table", {}, element("thead", {}, element("tr", {}, ...cells(head, "th"))), body);
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": head.join(", ") }, table);
  }

  function seedTable(row, section) {
    const number = (value, show) => (known(value) ? show(value) : null);
    const score = (value) => scored(value, section.percent);
    const head = ["seed", "status", "mean", "sd", "episodes", "undefined", "train s", "adapt ms", "memory MB", "examples", "finished", "cell key"];
    const lines = row.seeds.map((seed) => [
      seed.seed,
      seed.reason ? `${seed.status}: ${seed.reason}` : seed.status,
      number(seed.mean, score),
      number(seed.deviation, score),
      seed.episodes,
      seed.undefined,
      number(seed.cost.train_seconds, brief),
      number(seed.cost.adapt_ms_per_task, brief),
      number(seed.cost.peak_memory_mb, brief),
      number(seed.cost.examples_seen, grouped.format),
      seed.finished,
      seed.key.slice(0, 16),
    ]);
    return simpleTable(head, lines, 2);
  }

  function facts(row, values) {
    const flat = (object, prefix = "") =>
      Object.entries(object || {}).flatMap(([name, value]) =>
        value !== null && typeof value === "object" && !Array.isArray(value)
          ? flat(value, `${prefix}${name}.`)
          : [[prefix + name, Array.isArray(value) ? value.join(", ") : value === null ? "none" : value]],
      );
    const digests = Object.entries(row.parts).map(([name, value]) => [`digest of the ${name}`, value]);
    const groups = [
      ["Training", flat(row.setup)],
      ["Hyperparameters", flat(row.hyperparameters)],
      ["Provenance", [["plugin", `${values.plugin} ${values.plugin_version}`], ...flat(row.provenance), ["protocol digest", values.protocol_digest], ["episodes digest", values.episodes_digest], ...digests]],
      ["Further metrics", (values.other_metrics || "").split("; ").filter(Boolean).map((pair) => pair.split("="))],
    ];
    const shown = groups
      .filter(([, pairs]) => pairs.length)
      .flatMap(([title, pairs]) => [element("h2", {}, title), definitions(pairs)]);
    if (row.notes.length) {
      shown.push(element("h2", {}, "Notes"), element("ul", {}, ...row.notes.map((note) => element("li", {}, isolated(note)))));
    }
    return shown;
  }

  // ---- start ---------------------------------------------------------------------------------

  function start() {
    const root = document.querySelector("[data-table]");
    if (root && tableConfig) {
      const table = new Table(root, tableConfig, joined(parts));
      root.dataset.ready = "";
      metabench.shown = table;
    }
    if (document.querySelector("[data-cell]") && cellIndex) {
      showCell();
      addEventListener("hashchange", showCell);
    }
  }

  addEventListener("DOMContentLoaded", start);

  return {
    table: (config) => { tableConfig = config; },
    part: (part) => parts.push(part),
    index: (index) => { cellIndex = index; },
    cells: (chunk) => chunks.set(chunk.name, chunk.rows),
  };
})();
