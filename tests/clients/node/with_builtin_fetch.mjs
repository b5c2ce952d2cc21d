// POST with the fetch that Node has built in, which looks at NODE_USE_ENV_PROXY. Usage: URL BODY
const [url, body] = process.argv.slice(2);
const headers = { "Content-Type": "application/json" };
const response = await fetch(url, { method: "POST", headers, body });
console.log([response.status, response.headers.get("Idempotency-Replayed") ?? "None", await response.text()].join("|"));
