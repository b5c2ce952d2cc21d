// POST with fetch and undici's environment proxy agent. Usage: URL BODY
import { EnvHttpProxyAgent, fetch, setGlobalDispatcher } from "undici";

setGlobalDispatcher(new EnvHttpProxyAgent());
const [url, body] = process.argv.slice(2);
const headers = { "Content-Type": "application/json" };
const response = await fetch(url, { method: "POST", headers, body });
console.log([response.status, response.headers.get("Idempotency-Replayed") ?? "None", await response.text()].join("|"));
