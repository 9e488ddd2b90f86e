// A request of the page as command lines and as Python.

import { needsToken } from "./api.js";

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const HEADER = 'Authorization: Bearer $SAM6D_TOKEN';

/** Return curl lines of a request: {route, fields, frame}. */
export function curlLines({ route, fields, frame }) {
  const base = new URL(".", location.href).href;
  const token = needsToken() ? ` -H "${HEADER}"` : "";
  if (!frame.sample) {
    return [
      `curl -s${token} -F rgb_image=@${quoted(frame.rgb.name)} \\`,
      `  -F depth_image=@${quoted(frame.depth.name)} \\`,
      `  -F request=${quoted(JSON.stringify(fields))} \\`,
      `  ${quoted(`${base}${route}/upload`)} > answer.json`,
    ].join("\n");
  }
  const lines = [`curl -s${token} ${quoted(`${base}test/sample`)} > sample.json`];
  const { removed, changed } = difference(fields, frame.sample);
  let body = "sample.json";
  if (removed || changed) {
    body = "request.json";
    const filter = [removed && "del(.cad_path)", changed && (removed ? JSON.stringify(changed) : `. + ${JSON.stringify(changed)}`)];
    lines.push("# apt install jq", `jq ${quoted(filter.filter(Boolean).join(" + "))} sample.json > request.json`);
  }
  lines.push(`curl -s${token} --json @${body} ${quoted(`${base}${route}`)} > answer.json`);
  return lines.join("\n");
}

/** Return Python lines of a request. */
export function pythonLines({ route, fields, frame }) {
  const base = new URL(".", location.href).href;
  const token = needsToken();
  const lines = ["import json", ...(token ? ["import os"] : []), "", "import httpx  # pip install httpx", ""];
  const headers = token ? ', headers={"Authorization": "Bearer " + os.environ["SAM6D_TOKEN"]}' : "";
  lines.push(`server = httpx.Client(base_url=${JSON.stringify(base)}, timeout=120${headers})`);
  if (frame.sample) {
    const { removed, changed } = difference(fields, frame.sample);
    lines.push('body = server.get("test/sample").json()');
    if (removed) lines.push('del body["cad_path"]');
    if (changed) lines.push(`body.update(json.loads(${literal(changed)}))`);
    lines.push(`answer = server.post(${JSON.stringify(route)}, json=body)`);
  } else {
    lines.push(
      `images = {"rgb_image": open(${JSON.stringify(frame.rgb.name)}, "rb"), "depth_image": open(${JSON.stringify(frame.depth.name)}, "rb")}`,
      `request = json.loads(${literal(fields)})`,
      `answer = server.post(${JSON.stringify(`${route}/upload`)}, files=images, data={"request": json.dumps(request)})`);
  }
  lines.push("answer.raise_for_status()", "print(json.dumps(answer.json(), indent=2))");
  return lines.join("\n");
}

const literal = (values) => JSON.stringify(JSON.stringify(values));

/** Return what the fields change in the body of the sample. */
function difference(fields, sample) {
  const changed = Object.fromEntries(Object.entries(fields).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(sample[name])));
  return {
    removed: !("cad_path" in fields),
    changed: Object.keys(changed).length ? changed : null,
  };
}
