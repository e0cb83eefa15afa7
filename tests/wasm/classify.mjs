// Classifies images in a WebAssembly module under Node: node classify.mjs MODULE WEIGHTS IMAGE... prints `IMAGE LABEL PROBABILITY`.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const [file, weights, ...images] = process.argv.slice(2);
// Crates that expect a browser ask for functions of it. None is called.
const compiled = new WebAssembly.Module(readFileSync(file));
const imports = {};
for (const { module, name } of WebAssembly.Module.imports(compiled)) {
  imports[module] ??= {};
  imports[module][name] = () => {
    throw new Error(`${module}.${name} is called`);
  };
}
const instance = new WebAssembly.Instance(compiled, imports);
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
