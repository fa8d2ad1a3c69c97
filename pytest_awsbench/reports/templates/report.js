// Filters, pages, links, copying and printing. Without it everything that changed, is
// wrong or was lost is still there to read.
(() => {
  "use strict";
  const PAGE = 50;
  const PRINTED = 200;
  const list = document.getElementById("item-list");
  const form = document.querySelector(".filters");
  const found = document.querySelector(".found");
  const pages = document.querySelector(".pages");
  const printed = document.querySelector(".printed");

  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };
  const shown = (text) => (Array.isArray(text) ? text[0] : text);
  const block = (text, name) => {
    const parts = [make("pre", { className: `text ${name}` }, shown(text))];
    if (shown(text).length > 1500) {
      parts[0].classList.add("long");
      parts[0].tabIndex = 0;
    }
    if (Array.isArray(text)) {
      const missing = text[1].toLocaleString("en");
      parts.push(make("p", { className: "note" }, `Cut: ${missing} more characters in run.json.`));
    }
    return parts;
  };
  const row = (name, ...body) =>
    make("div", { className: "row" }, make("p", { className: "what" }, name), make("div", {}, ...body));

  const turnNode = ([command, output, error, reward, progress, success]) => {
    const node = make("li", { className: success ? "ok" : "failed" });
    node.append(
      make("p", { className: "turn" },
        make("span", { className: "outcome" }, success ? "✓ succeeded" : "✕ failed"),
        ` reward ${reward.toFixed(2)}, progress ${progress.toFixed(2)}`),
      ...block(command, "command"),
      ...(shown(output).trim() ? block(output, "output") : []),
      ...(shown(error).trim() ? block(error, "error") : []),
    );
    return node;
  };
  const episodeNodes = ([achieved, reward, progress, cap, turns], index, all) => {
    const trial = all.length > 1 ? `Trial ${index + 1} of ${all.length}: ` : "";
    const how = achieved ? "complete" : "incomplete";
    return [
      make("p", { className: "trial" }, `${trial}${how} after ${turns.length} of at most ${cap} turns, reward ${reward.toFixed(2)}, progress ${progress.toFixed(2)}`),
      make("ol", { className: "timeline" }, ...turns.map(turnNode)),
    ];
  };
  // A button that copies works with this script alone, so it comes from here.
  const equip = (line) => {
    if (!line.querySelector(".copy")) {
      line.append(" ", make("button", { type: "button", className: "copy" }, "Copy"));
    }
  };
  const equipItem = (node) => {
    const line = node.querySelector(".again");
    if (line.querySelector(".copy")) return;
    equip(line);
    const href = `#${encodeURIComponent(node.id)}`;
    line.append(" ", make("a", { className: "link", href }, "Link to this item"));
  };

  // Items in the page first, in their order; then those that are simply right.
  const data = JSON.parse(document.getElementById("right-items").textContent);
  const fromPage = (node) => ({ ...node.dataset, id: node.id, node });
  const fromData = ([id, command, run, place, outcome, answers, played]) => {
    const [messages, target, tier, source] = data.samples[place];
    const record = { id, command, run: String(run), outcome, tier, source, kind: "right", label: "" };
    record.text = () => [id, ...messages.map((m) => shown(m[1])), shown(target), ...answers.map((a) => shown(a[1])),
      ...played.flatMap((episode) => episode[4].flatMap((turn) => turn.slice(0, 3).map(shown)))].join("\n");
    record.build = () => {
      const body = make("div", { className: "body" },
        make("p", { className: "again" }, make("code", {}, command)));
      messages.forEach(([role, text]) =>
        body.append(row(role === "user" ? "Prompt" : `Prompt (${role})`, ...block(text, "prompt"))));
      if (shown(target)) body.append(row("Target", ...block(target, "target")));
      answers.forEach(([count, text]) =>
        body.append(row(answers.length === 1 ? "New answer" : `${count} new answers`, ...block(text, "new"))));
      body.append(...played.flatMap(episodeNodes));
      const summary = make("summary", {},
        make("span", { className: "kind right" }, "right"), " ",
        make("bdi", { className: "name" }, id), " ",
        make("span", { className: "how" }, outcome));
      return make("details", { className: "item right", id }, summary, body);
    };
    return record;
  };
  const records = [...Array.from(list.children, fromPage), ...data.items.map(fromData)];
  records.forEach((record) => {
    const text = record.text || (() => record.node.textContent);
    record.words = () => (record.lower ??= text().toLowerCase());
  });

  let matching = records;
  let page = 0;
  const nodeOf = (record) => {
    record.node ??= record.build();
    equipItem(record.node);
    return record.node;
  };

  const draw = () => {
    const last = Math.max(0, Math.ceil(matching.length / PAGE) - 1);
    page = Math.min(Math.max(page, 0), last);
    const from = page * PAGE;
    const part = matching.slice(from, from + PAGE);
    list.replaceChildren(...part.map(nodeOf));
    const count = (number) => number.toLocaleString("en");
    found.textContent = `${count(matching.length)} of ${count(records.length)} items`;
    pages.hidden = last === 0;
    pages.querySelector(".place").textContent =
      `${count(from + 1)} to ${count(from + part.length)} of ${count(matching.length)}`;
    const [previous, next] = pages.querySelectorAll("button");
    previous.disabled = page === 0;
    next.disabled = page === last;
  };

  const filter = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    delete wanted.text;
    const chosen = Object.entries(wanted).filter(([, value]) => value);
    matching = records.filter((record) =>
      chosen.every(([name, value]) => record[name] === value) &&
      words.every((word) => record.words().includes(word)));
    page = 0;
    draw();
  };

  const open = (hash) => {
    let id;
    try {
      id = decodeURIComponent(hash.slice(1));
    } catch {
      return;
    }
    const place = records.findIndex((record) => record.id === id);
    if (place < 0) {
      document.getElementById(id)?.closest(".card")?.focus();
      return;
    }
    if (!matching.includes(records[place])) {
      form.reset();
      matching = records;
    }
    page = Math.floor(matching.indexOf(records[place]) / PAGE);
    draw();
    const node = nodeOf(records[place]);
    node.open = true;
    node.scrollIntoView();
    node.querySelector("summary").focus({ preventScroll: true });
  };

  const copyText = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages that are opened from a file may not reach the clipboard.
      const area = make("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    await copyText(button.parentElement.querySelector("code").textContent);
    button.focus();
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  pages.addEventListener("click", (event) => {
    const step = Number(event.target.dataset.step);
    if (!step) return;
    page += step;
    draw();
    list.querySelector("summary")?.focus();
  });
  addEventListener("hashchange", () => open(location.hash));

  let closed = [];
  addEventListener("beforeprint", () => {
    const part = matching.filter((record) => record.kind !== "right");
    const print = (part.length ? part : matching).slice(0, PRINTED);
    list.replaceChildren(...print.map(nodeOf));
    printed.hidden = false;
    printed.textContent =
      `Printed: ${print.length} of ${matching.length} items of the chosen filter.`;
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((node) => { node.open = true; });
  });
  addEventListener("afterprint", () => {
    closed.forEach((node) => { node.open = false; });
    printed.hidden = true;
    draw();
  });

  document.querySelectorAll(".head .again, .card .again").forEach(equip);
  form.hidden = false;
  found.hidden = false;
  draw();
  // The browser looks for the link's end by itself when all is loaded, and takes the
  // focus away from where it was.
  addEventListener("load", () => setTimeout(() => open(location.hash)));
  if (location.hash) open(location.hash);
  // Texts are made ready for the first keystroke while nothing else happens.
  const ready = (from) => {
    records.slice(from, from + 500).forEach((record) => record.words());
    if (from + 500 < records.length) later(() => ready(from + 500));
  };
  const later = window.requestIdleCallback ?? setTimeout;
  later(() => ready(0));
})();
