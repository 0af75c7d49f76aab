// Puts Swagger UI in the place of the list of routes. Without it, or if it fails, the list stays.
"use strict";

(function () {
  const place = document.getElementById("swagger-ui");
  const list = document.getElementById("api-list");
  if (!place || !window.SwaggerUIBundle) return;

  // Swagger UI has colours for the dark, and looks at this class for them.
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  const show = (spec) => {
    // What the page may call is where it came from, whatever name a proxy has passed on.
    spec.servers = [{ url: new URL(place.dataset.server, location.href).href.replace(/\/$/, "") }];
    spec.info.description = "";  // the page says it already
    window.SwaggerUIBundle({
      spec,
      domNode: place,
      deepLinking: true,
      docExpansion: "list",
      defaultModelsExpandDepth: 0,
      displayRequestDuration: true,
      filter: false,
      validatorUrl: null,
      syntaxHighlight: { activated: false },
      presets: [window.SwaggerUIBundle.presets.apis],
      onComplete: () => {
        place.hidden = false;
        list.hidden = true;
      },
    });
  };

  fetch(place.dataset.url, { credentials: "same-origin" })
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
    .then(show)
    .catch((error) => console.warn("The description cannot be read:", error));
})();
