// The page: what is chosen, the picture that is shown, and the results of this session.
// The server knows pictures and results by keys; see routes.py.

const $ = (id) => document.getElementById(id);
const MAX_STYLES = 4;
const ENDS = ["done", "stopped", "failed"];
const LANGUAGES = ["en", "fr"];

let words = {};
let server = { seconds: {}, max_side: {} };
const pictures = new Map(); // photos and paintings, by key; with the file of what was chosen here
let photo = { key: "harbor", size: [512, 384] };
let chosen = [{ key: "swirls", weight: 1 }];
let settings = { method: "hub", strength: 1, stroke: 1, colors: "none" };
let mask = null, strokes = [];
let cursor = null, brushing = false; // of the brush, by keyboard
let shown = null; // the state of the result that is shown; null: the example
const results = new Map();
let painting = Promise.resolve(), busy = false;
let ordered = ["hub", {}], next = null; // arguments of paint
let follow = true; // shows what is being painted, unless one goes back meanwhile
let reading = null, trouble = null; // name of a file that is being sent; why something failed
let forgotten = false; // whether the server is another one than before

const urlOf = (key) => `/pictures/${key}`;
const pause = (time) => new Promise((done) => setTimeout(done, time));

// ---- words ----

function say(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function inWords(seconds) {
  if (seconds < 90) return say("s", { n: (seconds < 2 ? Math.ceil(seconds * 10) / 10 : Math.round(seconds)).toLocaleString(document.documentElement.lang) });
  return say("min", { n: Math.round(seconds / 60) });
}

const inPixels = (size) => size.join(" × ");

async function speak(language) {
  words = await (await fetch(`/static/${language}.json`)).json();
  document.documentElement.lang = $("language").value = language;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = say(node.dataset.t);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", nameOf(node.dataset.label));
  for (const node of document.querySelectorAll("[data-card]")) node.textContent = say(node.dataset.card);
  render();
}

function nameOf(key) {
  return words[key] ?? pictures.get(key)?.name ?? say("yours");
}

// ---- what one sees ----

function show(node, visible) {
  node.toggleAttribute("hidden", !visible); // SVG has no property
}

function tell(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text; // read out once
}

function render() {
  const before = $("before").getAttribute("aria-pressed") === "true";
  const url = shown?.picture ? `/results/${shown.key}/${shown.picture}` : null;
  const running = shown && !ENDS.includes(shown.status);
  const working = findRunning();
  const isFilm = Boolean(url && /\.mp4$/.test(url));
  const picture = url ?? (shown ? urlOf(photo.key) : "/static/harbor_swirls.webp");
  if (isFilm && $("film").getAttribute("src") !== url) $("film").src = url;
  if (!isFilm && $("picture").getAttribute("src") !== picture) $("picture").src = picture;
  if ($("original").getAttribute("src") !== urlOf(photo.key)) $("original").src = urlOf(photo.key);
  const size = shown?.size ?? photo.size;
  // Previews are smaller than the picture; it shall not jump.
  const [width, height] = photo.size[0] ? photo.size : size;
  $("frame").style.setProperty("--ratio", `${width} / ${height}`);
  $("frame").style.setProperty("--width", `${Math.max(width, 640)}px`);
  show($("film"), isFilm && !before);
  show($("picture"), !isFilm && !before);
  show($("original"), before);
  const wanted = shown?.wanted ?? { photo: "harbor", styles: ["swirls"] };
  $("picture").alt = say("picture_alt", { photo: nameOf(wanted.photo), styles: wanted.styles.map(nameOf).join(", ") });
  $("original").alt = say("original_alt");

  const finished = url && !running;
  const name = shown ? shown.name : "harbor_swirls.webp";
  $("download").href = finished ? `${url}?save=true` : url ?? picture;
  $("download").download = before ? "" : name ?? "";
  show($("download"), Boolean(url || !shown));
  show($("stop"), Boolean(working && (working.wanted.settings.method !== "hub" || working.film)));
  show($("continue"), Boolean(!working && shown?.status === "stopped" && shown.resumable));
  show($("progress"), running && shown.progress != null);
  if (shown?.progress != null) $("progress").value = shown.progress;
  $("progress").setAttribute("aria-label", say("result"));
  tell("status", describe());

  for (const button of document.querySelectorAll("[data-method]")) {
    const method = button.dataset.method;
    button.setAttribute("aria-pressed", String(method === settings.method));
    const seconds = server.seconds[method];
    button.querySelector("span").textContent = seconds ? say("about", { time: inWords(seconds) }) : "";
  }
  const pressed = [photo.key, ...chosen.map((c) => c.key), shown?.key];
  for (const button of document.querySelectorAll("[data-key]")) button.setAttribute("aria-pressed", String(pressed.includes(button.dataset.key)));
  show($("paint-film"), Boolean(photo.film));
  show($("unmark"), Boolean(mask) || !$("mask").hidden);
  show($("bundle"), Boolean(finished && shown.name));
  if (finished) $("bundle").href = `/results/${shown.key}/bundle.zip?save=true`;
  $("facts").textContent = shown?.models ? Object.values(shown.models).join(", ") : "";
  drawLosses(shown?.points ?? []);
}

function describe() {
  if (reading) return say("uploading", { name: reading });
  if (trouble) return explain(trouble);
  if (busy && !server.ready) return say("loading");
  if (!shown) return say("example");
  const left = shown.left == null ? "" : say("left", { time: inWords(shown.left) });
  switch (shown.status) {
    case "waiting": return say("waiting");
    case "queued": return say("queued", { n: shown.ahead });
    case "painting":
      if (shown.film) return say("frame", { n: shown.step, of: shown.steps || "?" });
      return shown.progress != null ? say("step", { n: shown.step, of: shown.steps, left }) : say("quick");
    case "failed": return explain(shown.error);
    case "stopped": return say(shown.resumable || shown.name ? "stopped" : "stopped_early");
  }
  const size = inPixels(shown.size), most = server.max_side[shown.wanted.settings.method];
  const smaller = photo.key === shown.wanted.photo && Math.max(...photo.size) > most && !shown.wanted.settings.side;
  return say("done", { size, time: inWords(shown.seconds) }) + (smaller ? say("bounded", { size: inPixels(photo.size), most }) : "");
}

// An error of the server, or of this page.
function explain({ code, message, values = {} }) {
  return code in words ? say(code, { ...values, name: words[values.name] ?? values.name }) : say("failed", { reason: message });
}

function drawLosses(points) {
  const names = points.length > 1 ? Object.keys(points[0].losses) : [];
  const values = points.flatMap((p) => Object.values(p.losses)).filter((v) => v > 0 && isFinite(v));
  show($("chart"), Boolean(names.length && values.length));
  if (!values.length) return $("chart").replaceChildren();
  $("chart").setAttribute("aria-label", say("losses"));
  const high = Math.log10(Math.max(...values)), low = Math.max(Math.log10(Math.min(...values)), high - 4);
  const last = points[points.length - 1].step || 1;
  const x = (step) => 4 + (step / last) * 292;
  const y = (value) => 114 - ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low || 1)) * 92;
  const make = (tag, attributes, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    return node;
  };
  const colours = { style: "#e8710a", content: "#3b82d6" };
  $("chart").replaceChildren(...names.flatMap((name, i) => {
    const colour = colours[name] ?? "#888";
    const dash = make("rect", { x: 4 + 90 * i, y: 7, width: 12, height: 3, fill: colour });
    const label = make("text", { x: 20 + 90 * i, y: 12, "font-size": 11, fill: "currentColor" }, name);
    // Losses of different sizes do not compare.
    return [dash, label, ...[...new Set(points.map((p) => p.side))].map((side) =>
      make("polyline", { fill: "none", stroke: colour, "stroke-width": 2,
        points: points.filter((p) => p.side === side).map((p) => `${x(p.step)},${y(p.losses[name])}`).join(" ") }))];
  }));
}

// ---- requests ----

// Asks the server; while it cannot be reached, says so and tries again.
async function ask(path, options = {}) {
  for (let wait = 500; ; wait = Math.min(wait * 1.5, 5000)) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      if (wait > 1000) notice("lost"); // a computer that wakes up needs a moment
      await pause(wait);
      continue;
    }
    if ($("lost").dataset.why === "lost") notice(null);
    if (answer.status === 403 && wait < 3000) {
      forgotten = true; // It was started anew; its page comes with a new cookie.
      await fetch("/").catch(() => {});
      await pause(wait);
      continue;
    }
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    throw said.error ?? { code: "failed", values: { reason: `HTTP ${answer.status}` } };
  }
}

function notice(why) {
  $("lost").dataset.why = why ?? "";
  tell("lost", why ? say(why) : "");
  show($("lost"), Boolean(why));
}

// Sends again what the server has forgotten, as far as this page has it; returns whether
// the photo is among it.
async function bringBack() {
  const keys = new Map(), own = [...pictures.values()].filter((picture) => !picture.example);
  if (own.length || results.size) notice("anew");
  forgotten = false;
  results.clear();
  for (const old of own) {
    pictures.delete(old.key);
    for (const button of document.querySelectorAll(`.thumbs [data-key="${old.key}"]`)) button.remove();
    if (old.file) keys.set(old.key, (await take(old.file, old.kind)).key);
  }
  const has = pictures.get(keys.get(photo.key) ?? photo.key);
  photo = has ?? pictures.get("harbor");
  chosen = chosen.map((c) => ({ ...c, key: keys.get(c.key) ?? c.key })).filter((c) => pictures.has(c.key));
  if (!chosen.length) chosen = [{ key: "swirls", weight: 1 }];
  if (mask) mask = strokes.length ? await sendMask() : null;
  if (!has) shown = null;
  drawWeights();
  drawStrip();
  return Boolean(has);
}

// Paints what is chosen; what changes meanwhile is painted next.
function paint(method = "hub", extra = {}) {
  settings.method = method;
  trouble = null;
  notice(null);
  if (busy) {
    next = [method, extra];
    stop();
  } else {
    ordered = [method, extra];
    painting = attend(order);
  }
  return painting;
}

function order() {
  const [method, extra] = ordered;
  const wanted = {
    photo: photo.key,
    styles: chosen.map((c) => c.key),
    weights: chosen.length > 1 ? chosen.map((c) => c.weight) : [],
    mask,
    settings: { ...settings, method, side: Number($("side").value), steps: Number($("steps").value) },
    ...extra,
  };
  const headers = { "content-type": "application/json" };
  return ask("/results", { method: "POST", headers, body: JSON.stringify(wanted) });
}

// Starts something, and shows it until its end.
async function attend(start, retry = true) {
  let state = null;
  busy = follow = true;
  render();
  try {
    state = await start();
    await watch(state);
  } catch (error) {
    // What is gone while it is painted was deleted in another tab, or the server is new.
    const lost = error.code === "gone" && (forgotten || !state);
    if (lost && retry && (await bringBack().catch(complain))) return attend(order, false);
    complain(error);
  }
  busy = false;
  render();
  const then = next;
  next = null;
  await (then ? paint(...then) : refresh().catch(complain));
}

async function watch(state) {
  const first = shown;
  for (;;) {
    results.set(state.key, state);
    // The old picture stays until there is a new one.
    if (follow) shown = !state.picture && first?.picture && first.wanted.photo === state.wanted.photo
      ? { ...state, key: first.key, picture: first.picture, size: first.size } : state;
    render();
    if (ENDS.includes(state.status)) break;
    state = await ask(`/results/${state.key}?after=${state.version}`);
  }
  if (follow) shown = state;
  drawStrip();
}

function findRunning() {
  return [...results.values()].find((r) => !ENDS.includes(r.status));
}

function stop() {
  const running = findRunning();
  // If it is gone, who watches it says so.
  if (running) return ask(`/results/${running.key}/stop`, { method: "POST" }).catch(() => {});
}

async function refresh() {
  const idle = !busy;
  server = await ask(`/state?photo=${photo.key}&side=${Number($("side").value)}&steps=${Number($("steps").value)}`);
  if (idle && !busy && !forgotten) keepUp(server.results);
  render();
}

// Takes the results as the server has them; another tab may have made or deleted some.
function keepUp(known) {
  if (known.map((state) => state.key).join() === [...results.keys()].join()) return;
  results.clear();
  for (const state of known) results.set(state.key, state);
  if (shown && !results.has(shown.key)) [shown, trouble] = [null, { code: "gone" }];
  drawStrip();
}

async function upload(file, kind) {
  const body = new FormData();
  body.append("file", file, file.name || "photo.png");
  return ask(`/pictures?kind=${kind}`, { method: "POST", body });
}

// ---- choices ----

function thumbnail(place, key, url, label, onClick) {
  const button = document.createElement("button");
  const image = Object.assign(new Image(), { src: url, alt: "" });
  button.dataset.key = button.dataset.label = key;
  button.setAttribute("aria-label", label);
  button.title = label;
  button.append(image);
  button.addEventListener("click", onClick);
  place.append(button);
  return button;
}

function offer(picture) {
  const { key, kind, name } = picture;
  pictures.set(key, { ...picture, example: key in words });
  const place = document.querySelector(kind === "photo" ? "#photos .thumbs" : "#paintings .thumbs");
  thumbnail(place, key, urlOf(key), words[key] ?? name, () => kind === "photo" ? choosePhoto(key) : choosePainting(key));
  return picture;
}

// Uploads a file, and offers it.
async function take(file, kind) {
  return offer({ ...(await upload(file, kind)), name: file.name, file });
}

function choosePhoto(key) {
  photo = pictures.get(key);
  forgetMask();
  return paint();
}

function choosePainting(key) {
  const at = chosen.findIndex((c) => c.key === key);
  if (!$("mix").checked) chosen = [];
  else if (at < 0 && chosen.length === MAX_STYLES) return complain({ code: "too_many", values: { n: MAX_STYLES } });
  if (at < 0 || !chosen.length) chosen.push({ key, weight: chosen.length ? 0.5 : 1 });
  else if (chosen.length > 1) chosen.splice(at, 1);
  drawWeights();
  return paint();
}

function complain(error) {
  trouble = error;
  reading = null;
  render();
  $("status").scrollIntoView({ block: "nearest" }); // on a phone it may be far up
}

function drawWeights() {
  $("weights").replaceChildren(...(chosen.length < 2 ? [] : chosen.map((c) => {
    const label = document.createElement("label");
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0.05, max: 1, step: 0.05, value: c.weight });
    slider.addEventListener("change", () => {
      c.weight = Number(slider.value);
      paint();
    });
    label.append(nameOf(c.key), slider);
    return label;
  })));
}

async function takePhotos(files) {
  for (const file of files) {
    [reading, trouble] = [file.name, null];
    render();
    try {
      const { key } = await take(file, "photo");
      reading = null;
      await choosePhoto(key);
    } catch (error) {
      complain(error);
    }
  }
}

async function takePaintings(files) {
  for (const [number, file] of [...files].entries()) {
    try {
      const { key } = await take(file, "style");
      if (number > 0) $("mix").checked = true;
      choosePainting(key);
    } catch (error) {
      complain(error);
    }
  }
}

function drawCards() {
  for (const field of document.querySelectorAll(".cards")) {
    field.dataset.values.split(" ").forEach((value, i) => {
      const label = document.createElement("label"), text = document.createElement("span");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: field.id, value });
      text.dataset.card = `${field.id}_${i}`;
      input.checked = String(settings[field.id]) === value;
      input.addEventListener("change", () => {
        settings[field.id] = field.id === "colors" ? value : Number(value);
        paint();
      });
      label.append(Object.assign(new Image(), { src: `/static/${field.id}_${i}.webp`, alt: "" }), input, text);
      field.append(label);
    });
  }
}

// ---- results ----

function drawStrip() {
  const kept = [...results.values()].filter((r) => r.picture && r.status !== "failed");
  show($("history"), kept.length > 0);
  $("strip").replaceChildren(...kept.reverse().map((state) => {
    const item = document.createElement("li");
    const { photo: of, styles, settings: how } = state.wanted;
    const label = `${say(how.method)}: ${nameOf(of)}, ${styles.map(nameOf).join(", ")}`;
    const url = /\.mp4$/.test(state.picture) ? urlOf(of) : `/results/${state.key}/${state.picture}`;
    thumbnail(item, state.key, url, label, () => recall(state)).removeAttribute("data-label");
    return item;
  }));
  render();
}

// Goes back to a result, with its settings.
function recall(state) {
  const { photo: of, styles, weights, settings: how } = state.wanted;
  shown = state;
  follow = !ENDS.includes(state.status);
  photo = pictures.get(of) ?? { key: of, size: state.size };
  ordered = [how.method, { film: state.wanted.film }];
  trouble = null;
  chosen = styles.map((key, i) => ({ key, weight: weights[i] ?? 1 }));
  $("mix").checked = chosen.length > 1;
  for (const name of Object.keys(settings)) settings[name] = how[name];
  for (const input of document.querySelectorAll(".cards input")) input.checked = String(settings[input.name]) === input.value;
  $("side").value = how.side || "";
  $("steps").value = how.steps || "";
  forgetMask();
  mask = state.wanted.mask;
  drawWeights();
  render();
}

// ---- the brush ----

function forgetMask() {
  mask = null;
  strokes = [];
  $("mark").setAttribute("aria-pressed", "false");
  showBrush(false);
}

function showBrush(on) {
  [cursor, brushing] = [null, false];
  show($("mask"), on);
  for (const node of document.querySelectorAll(".marking")) show(node, on);
  if (on) drawMarks();
}

function drawMarks() {
  drawMask($("mask"), "rgb(255 90 30 / 55%)");
  if (!cursor) return;
  const { width, height } = $("mask");
  const pen = $("mask").getContext("2d");
  for (const [colour, line] of [["black", 4], ["white", 2]]) {
    Object.assign(pen, { strokeStyle: colour, lineWidth: line });
    pen.beginPath();
    pen.arc(cursor[0] * width, cursor[1] * height, (Number($("width").value) / 200) * width, 0, 7);
    pen.stroke();
  }
}

function drawMask(canvas, colour, back = null) {
  const box = $("frame").getBoundingClientRect();
  Object.assign(canvas, { width: Math.round(box.width), height: Math.round(box.height) });
  const pen = canvas.getContext("2d");
  if (back) {
    pen.fillStyle = back;
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }
  Object.assign(pen, { strokeStyle: colour, lineCap: "round", lineJoin: "round" });
  for (const { width, points } of strokes) {
    pen.lineWidth = (width / 100) * canvas.width;
    pen.beginPath();
    for (const [x, y] of points) pen.lineTo(x * canvas.width, y * canvas.height);
    pen.stroke();
  }
}

// Starts a stroke, or goes on with the last.
function brush(point, starts) {
  if (starts) strokes.push({ width: Number($("width").value), points: [point] });
  strokes.at(-1)?.points.push(point);
  drawMarks();
}

function brushByPointer(event) {
  const box = $("mask").getBoundingClientRect();
  const starts = event.type === "pointerdown";
  if (starts) {
    cursor = null;
    $("mask").setPointerCapture(event.pointerId);
  }
  if (starts || event.buttons) brush([(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height], starts);
}

// The arrows move the brush, and the space bar is what a mouse's button is.
function brushByKey(event) {
  const { key } = event, step = event.shiftKey ? 0.1 : 0.02;
  const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[key];
  const wider = { "+": 2, "=": 2, "-": -2 }[key];
  if (key === "Escape") return $("mark").focus();
  if (event.ctrlKey || event.metaKey || (!move && !wider && key !== " ")) return;
  event.preventDefault(); // else the page would scroll
  if (event.type === "keyup" && key !== " ") return;
  if (event.type === "keyup") {
    brushing = false;
    return useMask();
  }
  cursor ??= [0.5, 0.5];
  if (move) cursor = cursor.map((at, i) => Math.min(1, Math.max(0, at + move[i])));
  if (wider) $("width").value = Number($("width").value) + wider;
  if (key === " " && !event.repeat) brush(cursor, (brushing = true));
  else if (move && brushing) brush(cursor, false);
  else drawMarks();
  const [x, y] = cursor.map((at) => Math.round(at * 100));
  tell("brush-at", say(brushing ? "brushing" : "brush_at", { x, y, n: $("width").value }));
}

async function sendMask() {
  const canvas = document.createElement("canvas");
  drawMask(canvas, "white", "black");
  const blob = await new Promise((done) => canvas.toBlob(done));
  return (await upload(new File([blob], "mask.png"), "mask")).key;
}

async function useMask() {
  try {
    mask = await sendMask();
    paint();
  } catch (error) {
    complain(error);
  }
}

// ---- events ----

function toggle(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  return on;
}

function connect() {
  $("language").addEventListener("change", () => {
    localStorage.setItem("language", $("language").value);
    speak($("language").value);
  });
  $("before").addEventListener("click", () => {
    toggle($("before"));
    render();
  });
  for (const button of document.querySelectorAll("[data-method]")) button.addEventListener("click", () => paint(button.dataset.method));
  $("stop").addEventListener("click", stop);
  $("continue").addEventListener("click", () => {
    painting = attend(() => ask(`/results/${shown.key}/continue`, { method: "POST" }));
  });
  $("paint-film").addEventListener("click", () => paint("hub", { film: true }));
  $("forget").addEventListener("click", async () => {
    await ask("/forget", { method: "POST" });
    location.reload();
  });
  for (const id of ["photo-file", "camera-file", "style-file"])
    $(id).addEventListener("change", () => {
      const files = [...$(id).files];
      $(id).value = ""; // or the same file could not be chosen again
      id === "style-file" ? takePaintings(files) : takePhotos(files);
    });
  $("mix").addEventListener("change", () => {
    if (!$("mix").checked && chosen.length > 1) {
      chosen = [{ ...chosen[0], weight: 1 }];
      drawWeights();
      paint();
    }
  });
  for (const id of ["side", "steps"]) $(id).addEventListener("change", () => refresh().catch(complain));

  // A file that is dropped anywhere would else replace the page.
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dragging"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const files = [...event.dataTransfer.files];
    if (files.length) event.target.closest?.("#paintings") ? takePaintings(files) : takePhotos(files);
  });
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) takePhotos(files);
  });

  $("mark").addEventListener("click", (event) => {
    const on = toggle($("mark"));
    showBrush(on);
    render();
    if (on && !event.detail) $("mask").focus(); // by keyboard
  });
  $("unmark").addEventListener("click", () => {
    forgetMask();
    paint();
  });
  for (const name of ["pointerdown", "pointermove"]) $("mask").addEventListener(name, brushByPointer);
  $("mask").addEventListener("pointerup", useMask);
  for (const name of ["keydown", "keyup"]) $("mask").addEventListener(name, brushByKey);
}

async function begin() {
  connect();
  drawCards();
  const language = localStorage.getItem("language") ?? navigator.languages.map((l) => l.slice(0, 2)).find((l) => LANGUAGES.includes(l)) ?? "en";
  await speak(language);
  await refresh();
  server.pictures.forEach(offer);
  const last = [...results.values()].at(-1);
  if (last) {
    recall(last);
    if (!ENDS.includes(last.status)) painting = attend(async () => last);
  }
  drawStrip();
  document.body.dataset.ready = "yes";
  // The server keeps what belongs to pages that call now and then.
  for (;;) {
    await pause(server.seconds.gatys ? 30000 : 2000);
    await refresh().catch(() => {}); // of a setting that is wrong it was said at once
    if (!forgotten || busy) continue;
    const had = shown; // else the example is all there was
    if ((await bringBack().catch(complain)) && had) painting = attend(order);
  }
}

begin();
