// Everything can be read and done without this file. It keeps what is shown fresh, and a form from being sent twice.
"use strict";

(() => {
  const EVERY = 5000; // milliseconds between two looks
  const LONGEST = 60000; // and when the listener does not answer

  const news = document.getElementById("news");
  const toggle = document.getElementById("live");
  let wait = EVERY;
  let timer = 0;
  let under_way = false;

  const regions = () => [...document.querySelectorAll("[data-live]")];
  const say = (text) => { if (news.textContent !== text) news.textContent = text; };
  const wanted = () => toggle.getAttribute("aria-pressed") === "true";
  const reading = () => !document.getSelection().isCollapsed;

  function replace(region, fresh) {
    if (region.innerHTML === fresh.innerHTML) return;
    const focused = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    region.replaceChildren(...fresh.childNodes);
    if (focused === null) return;
    const again = [...region.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === focused);
    // What had the focus may be gone: then the region has it, and Tab goes on from there.
    const target = again || region;
    if (!again) region.tabIndex = -1;
    target.focus({ preventScroll: true });
  }

  async function look() {
    const address = new URL(location.href);
    address.searchParams.set("fragment", "1");
    address.hash = "";
    const response = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (response.redirected) {
      toggle.setAttribute("aria-pressed", "false");
      say("Your session is over: load the page again to log in.");
      return;
    }
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const region of regions()) {
      const fresh = page.getElementById(region.id);
      if (!fresh) continue;
      replace(region, fresh);
      // Words for those who do not see the page change; only what is new is said.
      const { news: said } = fresh.dataset;
      if (said !== undefined && said !== region.dataset.news) {
        region.dataset.news = said;
        say(said);
      }
    }
  }

  async function turn() {
    timer = 0;
    if (document.hidden || !wanted() || under_way) return;
    under_way = true;
    try {
      if (!reading()) await look();
      if (wait !== EVERY) say("");
      wait = EVERY;
    } catch {
      wait = Math.min(LONGEST, wait * 2);
      say("The proxy does not answer; what is shown may be old.");
    }
    under_way = false;
    schedule(wait);
  }

  function schedule(delay) {
    if (timer || !wanted() || document.hidden) return;
    timer = setTimeout(turn, delay);
  }

  if (toggle && regions().length) {
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      const on = !wanted();
      toggle.setAttribute("aria-pressed", String(on));
      clearTimeout(timer);
      timer = 0;
      schedule(0);
    });
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      timer = 0;
      schedule(0);
    });
    schedule(EVERY);
  }

  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "yes";
    });
  }
  // A page that the browser kept and shows again may be sent again: the proxy hears the same word once.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
  // Filters apply as they are chosen; without this there is the button.
  for (const select of document.querySelectorAll("form.filters select")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
})();
