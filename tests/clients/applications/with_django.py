"""Django by ASGI, with a view that is not async."""

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from effects import DATABASE, ROUTES, handle, served

from onceproxy.webhooks import OnceMiddleware

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="for a test", MIDDLEWARE=[])


def events(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return JsonResponse({"there": True})
    status, content = handle(request.body)
    return JsonResponse(content, status=status, headers={"X-Taken": "yes"})


urlpatterns = [path("hooks/events", events)]
app = OnceMiddleware(get_asgi_application(), routes=ROUTES, database=DATABASE)

if __name__ == "__main__":
    import uvicorn

    host, port = served()
    uvicorn.run(app, host=host, port=port, log_level="warning", lifespan="off")
