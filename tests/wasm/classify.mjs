// Classifies images in a WebAssembly module under Node: node classify.mjs MODULE WEIGHTS IMAGE... prints `IMAGE LABEL PROBABILITY`.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const [file, weights, ...images] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(file), {});
const module = instance.exports;

function call(name, bytes) {
  const at = module.room(bytes.length);
  new Uint8Array(module.memory.buffer, at, bytes.length).set(bytes);
  const sound = module[name](at, bytes.length);
  const said = new Uint8Array(module.memory.buffer, module.said(), module.said_bytes());
  const text = new TextDecoder().decode(said);
  if (!sound) throw new Error(text);
  return text;
}

call("load", readFileSync(weights));
for (const image of images) console.log(`${basename(image)} ${call("classify", readFileSync(image))}`);
