// Paints beside the page, which goes on answering.

import * as ort from "./ort.wasm.min.mjs";

// More would need a server that isolates the page by its headers.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;

let session;

// The pixels of ImageData as float32 [1, H, W, 3] in [0, 1].
function toTensor({ data, width, height }) {
  const values = new Float32Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    for (let channel = 0; channel < 3; channel++) {
      values[to++] = data[from + channel] / 255;
    }
  }
  return new ort.Tensor("float32", values, [1, height, width, 3]);
}

function toImageData({ data, dims }) {
  const picture = new ImageData(dims[2], dims[1]);
  for (let from = 0, to = 0; from < data.length; to++) {
    for (let channel = 0; channel < 3; channel++) {
      // A clamped array rounds by itself.
      picture.data[4 * to + channel] = 255 * data[from++];
    }
    picture.data[4 * to + 3] = 255;
  }
  return picture;
}

async function paint({ photo, style }) {
  session ??= await ort.InferenceSession.create(
    new URL("model.onnx", import.meta.url).href,
    { executionProviders: ["wasm"] },
  );
  const feeds = { placeholder: toTensor(photo), placeholder_1: toTensor(style) };
  const began = performance.now();
  const { output_0: found } = await session.run(feeds);
  return {
    picture: toImageData(found),
    seconds: (performance.now() - began) / 1000,
  };
}

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage(await paint(data));
  } catch (error) {
    self.postMessage({ error: String(error?.message ?? error) });
  }
});
