// The page: reads pictures, has the worker paint, shows what comes.

// At this longest side in pixels a painting's strokes have the right size.
const STYLE_SIDE = 460;

const $ = (id) => document.getElementById(id);
const worker = new Worker("worker.js", { type: "module" });
const chosen = { photo: null, painting: null };
let painting = false;

function tell(text) {
  $("status").textContent = text;
}

function update() {
  $("paint").disabled = painting || !chosen.photo || !chosen.painting;
}

// Draws a picture onto a canvas, and returns its pixels.
function draw(bitmap, canvas, side) {
  const factor = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * factor));
  canvas.height = Math.max(1, Math.round(bitmap.height * factor));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function choose(name, file, title) {
  try {
    const bitmap = await createImageBitmap(file);
    draw(bitmap, $(`${name}-view`), 512);
    chosen[name]?.close();
    chosen[name] = bitmap;
    if (!painting) tell(`${title}, ${bitmap.width}x${bitmap.height} pixels`);
  } catch {
    tell(`${title} is not a picture that this browser can read; choose another`);
  }
  update();
}

for (const name of Object.keys(chosen)) {
  $(name).addEventListener("change", () => {
    const [file] = $(name).files;
    if (file) choose(name, file, file.name);
  });
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const side = Number($("side").value);
  const photo = draw(chosen.photo, new OffscreenCanvas(1, 1), side);
  const style = draw(chosen.painting, new OffscreenCanvas(1, 1), STYLE_SIDE);
  painting = true;
  update();
  tell("Painting");
  worker.postMessage({ photo, style }, [photo.data.buffer, style.data.buffer]);
});

worker.addEventListener("message", ({ data }) => {
  painting = false;
  update();
  if (data.error) {
    tell(`Painting failed: ${data.error}`);
    return;
  }
  const canvas = $("picture");
  canvas.width = data.picture.width;
  canvas.height = data.picture.height;
  canvas.getContext("2d").putImageData(data.picture, 0, 0);
  canvas.hidden = false;
  const { width, height } = canvas;
  tell(`${width}x${height} pixels in ${data.seconds.toFixed(1)} seconds`);
  canvas.toBlob((blob) => {
    URL.revokeObjectURL($("save").href);
    $("save").href = URL.createObjectURL(blob);
    $("save").hidden = false;
  });
});

worker.addEventListener("error", () => {
  painting = false;
  update();
  tell("The model's program could not be started; is every file of the page there?");
});

for (const name of Object.keys(chosen)) {
  const answer = await fetch(`${name}.jpg`);
  if (answer.ok && !$(name).files.length) await choose(name, await answer.blob(), `${name}.jpg`);
}
