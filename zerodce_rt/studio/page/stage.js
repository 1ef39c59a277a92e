// A picture before and after: views, and the divider, by mouse, finger or arrow keys.

export class Stage {
  constructor(element, views) {
    this.element = element;
    this.picture = element.querySelector(".picture");
    this.divider = element.querySelector(".divider");
    this.onView = () => {};
    this.empty = true;
    this.#move(50);
    for (const radio of views.querySelectorAll("input")) {
      radio.addEventListener("change", () => this.#show(radio.value));
      if (radio.checked) this.#show(radio.value);
    }
    this.divider.addEventListener("keydown", (event) => this.#key(event));
    this.divider.addEventListener("pointerdown", (event) => {
      this.divider.setPointerCapture(event.pointerId);
      this.divider.focus({ focusVisible: false });
      event.preventDefault();
    });
    this.divider.addEventListener("pointermove", (event) => {
      if (this.divider.hasPointerCapture(event.pointerId)) this.#drag(event.clientX);
    });
    // A click anywhere brings the divider there.
    this.picture.addEventListener("click", (event) => {
      if (this.view === "split" && event.target !== this.divider) this.#drag(event.clientX);
    });
  }

  get view() {
    return this.element.dataset.view;
  }

  set empty(isEmpty) {
    this.element.toggleAttribute("data-empty", isEmpty);
  }

  // Width and height of one picture; only their ratio counts.
  setSize(width, height) {
    if (!width || !height) return;
    this.element.style.setProperty("--w", width);
    this.element.style.setProperty("--h", height);
    this.ratio = width / height;
  }

  #show(view) {
    this.element.dataset.view = view;
    this.onView(view);
  }

  #drag(x) {
    const box = this.picture.getBoundingClientRect();
    this.#move(100 * (x - box.left) / box.width);
  }

  #move(percent) {
    this.at = Math.min(100, Math.max(0, percent));
    this.element.style.setProperty("--divider", `${this.at}%`);
    this.divider.setAttribute("aria-valuenow", Math.round(this.at));
    this.divider.setAttribute("aria-valuetext", `${Math.round(this.at)} % before`);
  }

  #key(event) {
    const steps = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.#move(this.at + steps[event.key]);
  }
}

// A slider of 0 to 100 % with its value beside it; calls back with 0 to 1.
export function slider(id, changed) {
  const input = document.getElementById(id);
  const value = document.getElementById(`${id}-value`);
  const show = () => { value.textContent = `${input.value} %`; };
  input.addEventListener("input", () => {
    show();
    changed();
  });
  show();
  return {
    get value() { return input.value / 100; },
    set value(share) {
      input.value = 100 * share;
      show();
    },
  };
}
