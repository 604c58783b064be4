// Speaks to the service that this page came from, with the key of this tab. Nothing else is ever asked.

const ROOT = new URL("../../", import.meta.url);
const STORED = "vllama-key";

/** The service refused: `status`, its sentence as `message`. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** A key, or another one, would help. */
  get needsKey() {
    return this.status === 401 || this.status === 403;
  }
}

/** The service does not answer. */
export class Unreachable extends Error {
  constructor() {
    super("The service does not answer.");
  }
}

/** The key of this tab, or "". It is gone when the tab is closed. */
export function key() {
  return sessionStorage.getItem(STORED) ?? "";
}

/** Keeps the key for this tab; "" forgets it. */
export function keepKey(secret) {
  if (secret) sessionStorage.setItem(STORED, secret);
  else sessionStorage.removeItem(STORED);
}

/** The response, if it is a good one. Raises Refused or Unreachable. `body`: a value is sent as JSON. */
export async function call(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (key()) sent.Authorization = `Bearer ${key()}`;
  const plain = body === undefined || typeof body === "string" || body instanceof Blob;
  if (!plain) sent["Content-Type"] = "application/json";
  const asked = { method, headers: sent, body: plain ? body : JSON.stringify(body), signal, cache: "no-store" };
  let response;
  try {
    response = await fetch(new URL(path.replace(/^\//, ""), ROOT), asked);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Unreachable();
  }
  if (!response.ok) throw new Refused(response.status, await sentence(response));
  return response;
}

/** The decoded JSON of an answer. */
export async function json(path, options) {
  const text = await (await call(path, options)).text();
  return text ? JSON.parse(text) : {};
}

/** The objects of an NDJSON stream, as they come. Breaking out of the loop ends the request. */
export async function* objects(path, options) {
  for await (const line of lines(await call(path, options))) if (line.trim()) yield JSON.parse(line);
}

/** The events of an SSE stream, as they come: `{event, data}` with the decoded JSON as data. */
export async function* events(path, options = {}) {
  let event = "message";
  let data = [];
  const headers = { Accept: "text/event-stream" };
  for await (const line of lines(await call(path, { ...options, headers }))) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    else if (line === "") {
      if (data.length) yield { event, data: JSON.parse(data.join("\n")) };
      event = "message";
      data = [];
    }
  }
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const found = (rest + value).split("\n");
      rest = found.pop();
      for (const line of found) yield line.replace(/\r$/, "");
    }
    if (rest) yield rest;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Unreachable();
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function sentence(response) {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text);
    return String(error.message ?? error);
  } catch {
    return response.status === 404 ? "This service does not offer that." : `The service answered ${response.status}.`;
  }
}
