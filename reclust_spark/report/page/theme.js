// Light or dark: as the system has it, until the reader says otherwise. Plots follow.

const theme = {
  start(redraw) {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const toggle = byId("theme");
    const apply = (isDark) => {
      document.documentElement.dataset.theme = isDark ? "dark" : "light";
      toggle.setAttribute("aria-pressed", isDark);
    };
    apply(system.matches);
    toggle.addEventListener("click", () => {
      apply(!theme.isDark());
      redraw();
    });
    system.addEventListener("change", () => {
      apply(system.matches);
      redraw();
    });
  },

  isDark: () => document.documentElement.dataset.theme === "dark",

  // A colour of the style sheet, for what is drawn by scripts.
  colour: (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(),
};
