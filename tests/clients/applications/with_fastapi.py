"""FastAPI."""

from effects import DATABASE, ROUTES, handle, served
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from onceproxy.webhooks import OnceMiddleware

app = FastAPI()
app.add_middleware(OnceMiddleware, routes=ROUTES, database=DATABASE)


@app.post("/hooks/events")
async def events(request: Request) -> JSONResponse:
    status, content = handle(await request.body())
    return JSONResponse(content, status, {"X-Taken": "yes"})


@app.get("/hooks/events")
async def there() -> dict[str, bool]:
    return {"there": True}


if __name__ == "__main__":
    import uvicorn

    host, port = served()
    uvicorn.run(app, host=host, port=port, log_level="warning")
