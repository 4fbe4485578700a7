// Shows dashboards as CloudWatch does: lays out the widgets, calls their functions, and lets `cwdb-action` give
// the element before it something to do. What AWS says of these is in its documentation, "Custom widgets":
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html

const facts = JSON.parse(document.getElementById("facts").textContent);
const nonce = document.querySelector("script[nonce]").nonce;
const byId = (id) => document.getElementById(id);

const HOURS_SHOWN = 3;
const SERVER_SECONDS = 2;
const RESIZE_PAUSE = 400;

async function ask(path, question) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Page-Token": facts.token },
    body: JSON.stringify(question),
  });
  if (!answer.ok) throw new Error(await answer.text());
  const said = await answer.json();
  if (said.refused) throw new Error(said.refused);
  return said;
}

function element(name, attributes, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

// Dialogs

function opened(dialog, trigger) {
  const host = trigger.getRootNode().host;
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        // What opened it may be gone with a refresh: then the browser would put the focus nowhere.
        (trigger.isConnected ? trigger : host).focus();
        resolve(dialog.returnValue);
      },
      { once: true },
    );
    dialog.showModal();
  });
}

for (const dialog of document.querySelectorAll("dialog")) {
  for (const button of dialog.querySelectorAll(":scope > .buttons button")) {
    button.addEventListener("click", () => dialog.close(button.value));
  }
}

async function confirmed(message, trigger) {
  byId("confirmation-text").textContent = message;
  return (await opened(byId("confirmation"), trigger)) === "ok";
}

// Content that a function has made, in a shadow tree: its styles reach no further than itself.

class Content {
  constructor(host, owner) {
    this.host = host;
    this.owner = owner;
    this.root = host.shadowRoot ?? withLinksExplained(host.attachShadow({ mode: "open" }));
    this.box = element("div", { class: "content" });
    this.root.replaceChildren(element("link", { rel: "stylesheet", href: "/widget.css" }), this.box);
    this.shown = null;
  }

  show(answer) {
    // Nothing new to see: whoever reads or has the focus here isn't disturbed.
    const key = JSON.stringify(answer);
    if (key === this.shown) return;
    this.shown = key;
    const place = this.focused();
    if (answer.kind === "html") this.fill(answer.content);
    else if (answer.kind === "json") this.box.replaceChildren(element("pre", {}, answer.content));
    else this.box.replaceChildren(element("p", { class: "refused", role: "alert" }, answer.content));
    if (place !== null) (this.focusable()[place] ?? this.host).focus();
  }

  fill(html) {
    const template = document.createElement("template");
    template.innerHTML = html; // The server has cleaned it.
    for (const style of template.content.querySelectorAll("style")) style.nonce = nonce;
    for (const action of template.content.querySelectorAll("cwdb-action")) {
      // One that lies in another belongs to what the other will show.
      if (template.content.contains(action)) this.attach(action);
    }
    this.box.replaceChildren(template.content);
  }

  attach(action) {
    const trigger = action.previousElementSibling;
    const wanted = {
      call: action.getAttribute("action") === "call",
      confirmation: action.getAttribute("confirmation"),
      popup: action.getAttribute("display") === "popup",
      endpoint: action.getAttribute("endpoint"),
      html: action.innerHTML,
      text: action.textContent.trim(),
    };
    const event = action.getAttribute("event") ?? "click";
    action.remove();
    const known = ["click", "dblclick"].includes(event) || (event === "mouseenter" && !wanted.call);
    if (!trigger || !known) return;
    trigger.addEventListener(event, (happened) => {
      happened.preventDefault();
      this.owner.act(wanted, trigger, this);
    });
    trigger.dataset.acts = "";
  }

  focusable() {
    return [...this.box.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")];
  }

  focused() {
    const active = this.root.activeElement;
    return active === null ? null : this.focusable().indexOf(active);
  }

  forms() {
    const all = {};
    for (const field of this.box.querySelectorAll("input, select, textarea")) {
      if (!field.name || (["checkbox", "radio"].includes(field.type) && !field.checked)) continue;
      all[field.name] = field.value;
    }
    return { all };
  }
}

// Widgets

class Widget {
  constructor(definition, number) {
    this.id = `widget-${number}`;
    this.properties = definition.properties ?? {};
    this.title = this.properties.title ?? "";
    this.busy = false;
    this.asked = 0;
    const heading = element("h2", { id: `${this.id}-title` }, this.title || "Untitled");
    this.body = element("div", {
      class: "widget-content",
      tabindex: "0",
      role: "group",
      "aria-labelledby": heading.id,
    });
    this.section = element("section", { class: "widget", "aria-labelledby": heading.id }, heading, this.body);
    const { x, y, width = 6, height = 6 } = definition;
    this.section.style.gridColumn = `${x === undefined ? "auto" : x + 1} / span ${width}`;
    this.section.style.gridRow = `${y === undefined ? "auto" : y + 1} / span ${height}`;
  }

  updatesOn(reason) {
    return this.properties.updateOn?.[reason] ?? true;
  }
}

class CustomWidget extends Widget {
  constructor(definition, number) {
    super(definition, number);
    this.content = new Content(this.body, this);
  }

  context(forms) {
    const now = Date.now();
    return {
      dashboardName: state.dashboard,
      widgetId: this.id,
      accountId: facts.accountId,
      locale: "en",
      timezone: { label: "UTC", offsetISO: "+00:00", offsetInMinutes: 0 },
      period: 300,
      isAutoPeriod: true,
      timeRange: {
        mode: "relative",
        start: now - HOURS_SHOWN * 3600e3,
        end: now,
        relativeStart: HOURS_SHOWN * 3600e3,
      },
      theme: document.documentElement.dataset.theme,
      linkCharts: true,
      title: this.title,
      forms,
      params: this.properties.params ?? {},
      width: this.body.clientWidth,
      height: this.body.clientHeight,
    };
  }

  async call(endpoint, params, forms) {
    this.section.setAttribute("aria-busy", "true");
    try {
      const context = this.context(forms);
      return await ask("/call", { viewer: state.viewer, function: endpoint, params, context });
    } catch (error) {
      return { kind: "error", content: error.message };
    } finally {
      this.section.removeAttribute("aria-busy");
    }
  }

  async refresh() {
    const turn = ++this.asked;
    const answer = await this.call(
      this.properties.endpoint, this.properties.params ?? {}, this.content.forms(),
    );
    // A later call, or a button, may have been quicker.
    if (turn === this.asked) this.content.show(answer);
  }

  async act(wanted, trigger, content) {
    if (this.busy) return;
    this.busy = true;
    try {
      if (wanted.confirmation !== null && !(await confirmed(wanted.confirmation, trigger))) return;
      const answer = await this.outcome(wanted, content);
      if (wanted.popup) {
        this.busy = false;
        await popup(this.title || "Details", answer, trigger, this);
      } else {
        this.asked += 1;
        this.content.show(answer);
      }
    } finally {
      this.busy = false;
    }
  }

  async outcome(wanted, content) {
    if (!wanted.call) return { kind: "html", content: wanted.html };
    try {
      const params = wanted.text ? JSON.parse(wanted.text) : {};
      return await this.call(wanted.endpoint, params, content.forms());
    } catch (error) {
      return { kind: "error", content: `This button's parameters are not JSON: ${error.message}` };
    }
  }
}

class AlarmWidget extends Widget {
  async refresh() {
    try {
      const arns = this.properties.alarms ?? [];
      const { alarms } = await ask("/alarms", { viewer: state.viewer, arns });
      this.body.replaceChildren(element("ul", { class: "alarms" }, ...alarms.map(alarmTile)));
    } catch (error) {
      this.body.replaceChildren(element("p", { class: "refused", role: "alert" }, error.message));
    }
  }
}

class OtherWidget extends Widget {
  constructor(definition, number) {
    super(definition, number);
    const text = `The sandbox doesn't draw widgets of the type “${definition.type}”.`;
    this.body.replaceChildren(element("p", { class: "note" }, text));
  }

  async refresh() {}
}

const ALARM_WORDS = { OK: "OK", ALARM: "In alarm", INSUFFICIENT_DATA: "Insufficient data" };

function alarmTile(alarm) {
  const words = ALARM_WORDS[alarm.state] ?? alarm.state;
  const chip = element("span", { class: "state", "data-state": alarm.state }, words);
  return element("li", { title: alarm.description }, element("span", { class: "name" }, alarm.name), chip);
}

async function popup(title, answer, trigger, owner) {
  const dialog = byId("popup");
  byId("popup-title").textContent = title;
  const content = new Content(byId("popup-content"), owner);
  content.show(answer);
  if (dialog.open) return;
  await opened(dialog, trigger);
  content.box.replaceChildren();
}

function withLinksExplained(root) {
  root.addEventListener("click", (event) => {
    const link = event.composedPath().find((each) => each instanceof Element && each.matches("a[href]"));
    if (!link || "acts" in link.dataset || link.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    const words = ["In AWS this link opens:", link.href, "The sandbox has no AWS console to go to."];
    const box = element("div", {}, ...words.map((each) => element("p", {}, each)));
    popup("Link", { kind: "html", content: box.innerHTML }, link, null);
  });
  return root;
}

// The dashboard

const KINDS = { custom: CustomWidget, alarm: AlarmWidget };
// `turn` counts how often a dashboard was opened: what comes late for an earlier one is dropped.
const state = { viewer: facts.viewers[0], dashboard: null, widgets: [], turn: 0 };

function say(problem) {
  byId("problem").textContent = problem ?? "";
  byId("problem").hidden = problem === null;
}

async function open() {
  const turn = ++state.turn;
  state.widgets = [];
  byId("grid").replaceChildren();
  try {
    const { names } = await ask("/dashboards", { viewer: state.viewer });
    if (turn !== state.turn) return;
    if (!names.includes(state.dashboard)) state.dashboard = names[0] ?? null;
    byId("dashboard").replaceChildren(...names.map((name) => element("option", {}, name)));
    byId("dashboard-choice").hidden = names.length < 2;
    if (state.dashboard === null) return say("This account has no dashboard.");
    byId("dashboard").value = state.dashboard;
    byId("title").textContent = state.dashboard;
    document.title = `${state.dashboard} · sandbox`;
    const body = await ask("/dashboard", { viewer: state.viewer, name: state.dashboard });
    if (turn !== state.turn) return;
    const inOrder = [...body.widgets].sort((one, other) => one.y - other.y || one.x - other.x);
    state.widgets = inOrder.map((each, number) => new (KINDS[each.type] ?? OtherWidget)(each, number));
    byId("grid").replaceChildren(...state.widgets.map((widget) => widget.section));
    say(null);
  } catch (error) {
    if (turn === state.turn) say(error.message);
    return;
  }
  await refresh();
}

async function refresh(reason = null) {
  const wanted = state.widgets.filter((widget) => reason === null || widget.updatesOn(reason));
  await Promise.all(wanted.map((widget) => widget.refresh()));
  byId("updated").textContent = `Updated ${new Date().toISOString().slice(11, 19)} UTC`;
}

let timer;
function keepRefreshing() {
  clearInterval(timer);
  const seconds = Number(byId("interval").value);
  if (!seconds) return;
  timer = setInterval(() => {
    // Nobody's dialog is pulled from under their hands.
    if (document.querySelector("dialog[open]") === null) refresh("refresh");
  }, seconds * 1000);
}

function useTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").value = theme;
}

// The backup server

async function lookAtServer(wanted = "look") {
  try {
    showServer(await ask("/backup-server", { do: wanted }));
  } catch (error) {
    byId("backup-server-facts").replaceChildren(element("dt", {}, "Not reachable"), element("dd", {}, error.message));
  }
}

function showServer({ server, file, region, hosts, service, client }) {
  byId("backup-server-title").textContent = `Backup server ${server}`;
  const through = hosts.length === 1 && hosts[0].includes(".vpce.");
  const words = through ? "the interface endpoint" : "Amazon's public endpoints";
  const way = element("span", { class: "state", "data-state": through ? "OK" : "PUBLIC" }, `Through ${words}`);
  const rows = [
    [`${file}, ${region}`, way, ...hosts.map((host) => element("code", {}, host))],
    ["Veeam Backup Service", `${service.state.replace("_", " ")}, started ${service.starts}×`],
  ];
  if (client) rows.push(["Scheduled task", taskWords(client)]);
  byId("backup-server-facts").replaceChildren(
    ...rows.map(([name, ...values]) => element("div", {}, element("dt", {}, name), element("dd", {}, ...values))),
  );
  byId("run-client").hidden = !client;
  byId("run-client").disabled = Boolean(client?.running);
  byId("client-output").hidden = !client?.last;
  const output = client?.last ? client.last.output || "(it said nothing)" : "";
  if (byId("client-output").textContent !== output) {
    byId("client-output").textContent = output;
    byId("client-output").scrollTop = byId("client-output").scrollHeight;
  }
}

function taskWords({ every, running, last }) {
  const plan = every ? `runs the client every ${every} s` : "runs the client when you say so";
  if (running) return `${plan}; it runs now`;
  if (!last) return plan;
  return `${plan}; last at ${last.at.slice(11, 19)} UTC, exit code ${last.code}`;
}

// The page

const remembered = localStorage.getItem("theme");
useTheme(remembered ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
byId("viewer").replaceChildren(...facts.viewers.map((name) => element("option", {}, name)));

byId("theme").addEventListener("change", (event) => {
  useTheme(event.target.value);
  localStorage.setItem("theme", event.target.value);
  refresh();
});
byId("viewer").addEventListener("change", (event) => {
  state.viewer = event.target.value;
  open();
});
byId("dashboard").addEventListener("change", (event) => {
  state.dashboard = event.target.value;
  open();
});
byId("interval").addEventListener("change", keepRefreshing);
byId("refresh").addEventListener("click", () => refresh());

let resizing;
let width = innerWidth;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    if (innerWidth === width) return;
    width = innerWidth;
    refresh("resize");
  }, RESIZE_PAUSE);
});

if (facts.backupServer) {
  byId("backup-server").hidden = false;
  byId("run-client").addEventListener("click", () => lookAtServer("run the client"));
  lookAtServer();
  setInterval(lookAtServer, SERVER_SECONDS * 1000);
}
keepRefreshing();
open();
