// The page: what is chosen, the picture that is shown, and the results of this session.
// The server knows pictures and results by keys; see routes.py.

const $ = (id) => document.getElementById(id);
const METHODS = ["hub", "neighbors", "gatys"];
const MAX_STYLES = 4;
const ENDS = ["done", "stopped", "failed"];
const LANGUAGES = ["en", "fr"];

let words = {};
let server = { rates: {}, steps: {}, max_side: {}, models: [] };
let photo = { key: "harbor", size: [512, 384], url: "/static/harbor.webp", name: "harbor" };
let photos = [], paintings = [];
let chosen = [{ key: "swirls", weight: 1 }];
let settings = { method: "hub", strength: 1, stroke: 1, colors: "none" };
let mask = null, strokes = [];
let shown = null; // the state of the result that is shown; null: the example
let results = new Map();
let painting = Promise.resolve(), again = false, busy = false;
let follow = true; // shows what is being painted, unless one goes back meanwhile

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
  return words[key] ?? paintings.concat(photos).find((p) => p.key === key)?.name ?? say("yours");
}

// ---- what one sees ----

function show(node, visible) {
  node.toggleAttribute("hidden", !visible); // SVG has no property
}

function status(text) {
  if ($("status").textContent !== text) $("status").textContent = text; // read out once
}

function render() {
  const before = $("before").getAttribute("aria-pressed") === "true";
  const url = shown?.picture ? `/results/${shown.key}/${shown.picture}` : null;
  const running = shown && !ENDS.includes(shown.status);
  const working = findRunning();
  const isFilm = Boolean(url && /\.mp4$/.test(url));
  const picture = url ?? (shown ? photo.url : "/static/harbor_swirls.webp");
  if (isFilm && $("film").getAttribute("src") !== url) $("film").src = url;
  if (!isFilm && $("picture").getAttribute("src") !== picture) $("picture").src = picture;
  if ($("original").getAttribute("src") !== photo.url) $("original").src = photo.url;
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
  status(describe());

  for (const button of document.querySelectorAll("[data-method]")) {
    const method = button.dataset.method;
    button.setAttribute("aria-pressed", String(method === settings.method));
    const seconds = estimate(method);
    button.querySelector("span").textContent = seconds ? say("about", { time: inWords(seconds) }) : "";
  }
  for (const button of document.querySelectorAll("#photos [data-key]")) button.setAttribute("aria-pressed", String(button.dataset.key === photo.key));
  for (const button of document.querySelectorAll("#paintings [data-key]"))
    button.setAttribute("aria-pressed", String(chosen.some((c) => c.key === button.dataset.key)));
  for (const button of document.querySelectorAll("#strip [data-key]")) button.setAttribute("aria-pressed", String(button.dataset.key === shown?.key));
  show($("paint-film"), Boolean(photo.film));
  show($("unmark"), Boolean(mask) || !$("mask").hidden);
  show($("bundle"), Boolean(finished && shown.name));
  if (finished) $("bundle").href = `/results/${shown.key}/bundle.zip?save=true`;
  $("facts").textContent = shown?.models ? Object.values(shown.models).join(", ") : "";
  $("models").replaceChildren(...server.models.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  drawLosses(shown?.points ?? []);
}

function describe() {
  if (photo.reading) return say("uploading", { name: photo.reading });
  if (photo.trouble) return photo.trouble;
  if (!shown) return say("example");
  const left = shown.left == null ? "" : say("left", { time: inWords(shown.left) });
  switch (shown.status) {
    case "waiting": case "loading": return say(shown.status);
    case "queued": return say("queued", { n: shown.ahead });
    case "painting":
      if (shown.film) return say("frame", { n: shown.step, of: shown.steps || "?" });
      return shown.progress != null ? say("step", { n: shown.step, of: shown.steps, left }) : say("quick");
    case "failed": return say(shown.error.code) === shown.error.code ? shown.error.message : say(shown.error.code);
    case "stopped": return say(shown.resumable || shown.name ? "stopped" : "stopped_early");
  }
  const size = inPixels(shown.size), most = server.max_side[shown.wanted.settings.method];
  const smaller = photo.key === shown.wanted.photo && Math.max(...photo.size) > most && !shown.wanted.settings.side;
  return say("done", { size, time: inWords(shown.seconds) }) + (smaller ? say("bounded", { size: inPixels(photo.size), most }) : "");
}

// Seconds that a method will take for this photo, as measured on this machine.
function estimate(method) {
  const rate = server.rates[method];
  if (!rate) return 0;
  const most = Math.min(Number($("side").value) || Infinity, server.max_side[method]);
  const factor = Math.min(1, most / Math.max(...photo.size));
  const steps = method === "hub" ? 1 : Number($("steps").value) || server.steps[method];
  return (rate * steps * photo.size[0] * photo.size[1] * factor ** 2) / 1e6;
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

class Refused extends Error {}

// Asks the server; while it cannot be reached, says so and tries again.
async function ask(path, options = {}) {
  for (let wait = 500; ; wait = Math.min(wait * 1.5, 5000)) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      if (wait > 1000) lost("lost"); // a sleeping machine needs a moment
      await new Promise((done) => setTimeout(done, wait));
      continue;
    }
    if (answer.status === 403) {
      lost("anew");
      throw new Refused(say("anew"));
    }
    show($("lost"), false);
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    const { code, message } = said.error ?? { code: "failed", message: answer.statusText };
    throw new Refused(code in words ? say(code) : message);
  }
}

function lost(why) {
  $("lost").textContent = say(why);
  show($("lost"), true);
}

// Paints what is chosen; what changes meanwhile is painted next.
function paint(method = "hub", extra = {}) {
  settings.method = method;
  photo.trouble = null;
  if (busy) {
    again = [method, extra];
    stop();
    return painting;
  }
  busy = follow = true;
  painting = make(method, extra).finally(() => {
    busy = false;
    render();
    if (again) {
      const next = again;
      again = false;
      return paint(...next);
    }
  });
  return painting;
}

async function make(method, extra) {
  const wanted = {
    photo: photo.key,
    styles: chosen.map((c) => c.key),
    weights: chosen.length > 1 ? chosen.map((c) => c.weight) : [],
    mask,
    settings: { ...settings, method, side: Number($("side").value) || 0, steps: Number($("steps").value) || 0 },
    ...extra,
  };
  try {
    const state = await ask("/results", { method: "POST", body: JSON.stringify(wanted) });
    await watch(state);
    await refresh();
  } catch (error) {
    photo.trouble = error.message;
  }
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
  if (running) return ask(`/results/${running.key}/stop`, { method: "POST" });
}

async function goOn() {
  busy = follow = true;
  try {
    await watch(await ask(`/results/${shown.key}/continue`, { method: "POST" }));
  } catch (error) {
    photo.trouble = error.message;
  }
  busy = false;
  render();
}

async function refresh() {
  server = await ask("/state");
  render();
}

async function upload(file, kind) {
  const name = encodeURIComponent(file.name || "photo.png");
  return ask(`/pictures?kind=${kind}&name=${name}`, { method: "POST", body: file });
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

function offer(kind, picture) {
  const place = document.querySelector(`#${kind} .thumbs`);
  (kind === "photos" ? photos : paintings).push(picture);
  thumbnail(place, picture.key, picture.url, nameOf(picture.key), () =>
    kind === "photos" ? choosePhoto(picture) : choosePainting(picture.key));
}

function choosePhoto(picture) {
  photo = picture;
  forgetMask();
  return paint();
}

function choosePainting(key) {
  const at = chosen.findIndex((c) => c.key === key);
  if (!$("mix").checked) chosen = [{ key, weight: 1 }];
  else if (at < 0 && chosen.length === MAX_STYLES) return complain(say("too_many", { n: MAX_STYLES }));
  else if (at < 0) chosen.push({ key, weight: 0.5 });
  else if (chosen.length > 1) chosen.splice(at, 1);
  drawWeights();
  return paint();
}

function complain(line) {
  photo.trouble = line;
  render();
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
  const before = photo;
  for (const file of files) {
    photo = { ...photo, reading: file.name, trouble: null };
    render();
    try {
      const { key, size, film } = await upload(file, "photo");
      const picture = { key, size, film, name: file.name, url: `/pictures/${key}` };
      offer("photos", picture);
      await choosePhoto(picture);
    } catch (error) {
      photo = { ...before, trouble: error.message, reading: null };
      render();
    }
  }
}

async function takePaintings(files) {
  for (const [number, file] of [...files].slice(0, MAX_STYLES).entries()) {
    try {
      const { key } = await upload(file, "style");
      offer("paintings", { key, name: file.name, url: `/pictures/${key}` });
      if (number === 0 && !$("mix").checked) chosen = [];
      if (files.length > 1) $("mix").checked = true;
      if (chosen.length < MAX_STYLES) chosen.push({ key, weight: chosen.length ? 0.5 : 1 });
      else complain(say("too_many", { n: MAX_STYLES }));
    } catch (error) {
      complain(error.message);
      continue;
    }
    drawWeights();
    paint();
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
    const url = /\.mp4$/.test(state.picture) ? `/pictures/${of}` : `/results/${state.key}/${state.picture}`;
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
  photo = photos.find((p) => p.key === of) ?? { key: of, size: state.size, url: `/pictures/${of}`, name: of };
  photo.trouble = null;
  chosen = styles.map((key, i) => ({ key, weight: weights[i] ?? 1 }));
  $("mix").checked = chosen.length > 1;
  for (const name of ["method", "strength", "stroke", "colors"]) settings[name] = how[name];
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
  show($("mask"), on);
  for (const node of document.querySelectorAll(".marking")) show(node, on);
  if (on) drawMask($("mask"), "rgb(255 90 30 / 55%)");
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

function brush(event) {
  const box = $("mask").getBoundingClientRect();
  const point = [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
  if (event.type === "pointerdown") {
    $("mask").setPointerCapture(event.pointerId);
    strokes.push({ width: Number($("width").value), points: [point] });
  } else if (!event.buttons) return;
  strokes.at(-1)?.points.push(point);
  drawMask($("mask"), "rgb(255 90 30 / 55%)");
}

async function useMask() {
  const canvas = document.createElement("canvas");
  drawMask(canvas, "white", "black");
  const blob = await new Promise((done) => canvas.toBlob(done));
  try {
    mask = (await upload(new File([blob], "mask.png"), "mask")).key;
    paint();
  } catch (error) {
    complain(error.message);
  }
}

// ---- events ----

function connect() {
  $("language").addEventListener("change", () => {
    localStorage.setItem("language", $("language").value);
    speak($("language").value);
  });
  $("before").addEventListener("click", () => {
    $("before").setAttribute("aria-pressed", String($("before").getAttribute("aria-pressed") !== "true"));
    render();
  });
  for (const button of document.querySelectorAll("[data-method]")) button.addEventListener("click", () => paint(button.dataset.method));
  $("stop").addEventListener("click", stop);
  $("continue").addEventListener("click", goOn);
  $("paint-film").addEventListener("click", () => paint("hub", { film: true }));
  $("forget").addEventListener("click", async () => {
    await stop();
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
  for (const id of ["side", "steps"]) $(id).addEventListener("change", render);

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

  $("mark").addEventListener("click", () => {
    const on = $("mark").getAttribute("aria-pressed") !== "true";
    $("mark").setAttribute("aria-pressed", String(on));
    showBrush(on);
    render();
  });
  $("unmark").addEventListener("click", () => {
    forgetMask();
    paint();
  });
  $("mask").addEventListener("pointerdown", brush);
  $("mask").addEventListener("pointermove", brush);
  $("mask").addEventListener("pointerup", useMask);
}

async function begin() {
  connect();
  drawCards();
  const language = localStorage.getItem("language") ?? navigator.languages.map((l) => l.slice(0, 2)).find((l) => LANGUAGES.includes(l)) ?? "en";
  await speak(language);
  server = await ask("/state");
  const sizes = { harbor: [512, 384], still_life: [512, 512] };
  for (const key of server.photos) offer("photos", { key, size: sizes[key], url: `/static/${key}.webp` });
  for (const key of server.paintings) offer("paintings", { key, url: `/static/${key}.webp` });
  for (const found of server.pictures) offer(found.kind === "style" ? "paintings" : "photos", { ...found, url: `/pictures/${found.key}` });
  photo = photos[0];
  for (const state of server.results) results.set(state.key, state);
  const last = [...results.values()].at(-1);
  if (last) {
    recall(last);
    if (!ENDS.includes(last.status)) {
      busy = true;
      painting = watch(last).finally(() => {
        busy = false;
        render();
      });
    }
  }
  drawStrip();
  document.body.dataset.ready = "yes";
  // The server keeps what belongs to pages that call now and then.
  const call = async () => {
    await refresh();
    setTimeout(call, server.ready && server.rates.gatys ? 30000 : 2000);
  };
  call();
}

begin();
