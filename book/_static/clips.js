/* Plays echo clips: the custom element <echo-clip>. Needs no network, and works from file://.
 *
 *   <echo-clip frames="16" fps="12.5" width="192" label="..." [saliency="[[[...]]]" cell="16"]>
 *     <img src="data:image/webp;base64,..." alt="...">        frames side by side, shown where there is no script
 *   </echo-clip>
 *
 * Attributes: frames, fps, width (CSS pixels), label (for readers who cannot see the clip); saliency, values 0..1 as
 * planes of rows, each plane held over frames / planes frames, and cell, a cell's side in pixels of the clip.
 * Inside: canvas[data-part=picture], button[data-action=play], button[data-action=saliency] (only with a map),
 * [data-part=count]. A playing element has the attribute `playing`.
 * Methods: show({image, x, y, size, frames, fps, label, saliency, cell}) puts another clip in, from any part of a loaded
 * picture; play(), pause(). Event: "saliency", when the map was shown or hidden (`overlay` tells which).
 *
 * Clips play by themselves, and only while they are in view, unless the reader prefers reduced motion.
 */
(() => {
  "use strict";

  const VIRIDIS =
    "44015448186a472d7b424086" + "3b528b33638d2c728e26828e" + "21918c1fa08828ae803fbc73" +
    "5ec96284d44baddc30d8e219" + "fde725";
  const OPACITY = 0.5; // of the map over its frame, as in the figures
  const ICONS = { play: "M4 2l10 6-10 6z", pause: "M4 2h3v12H4zM9 2h3v12H9z" };
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  function stops(text) {
    const found = [];
    for (let at = 0; at < text.length; at += 6) {
      found.push([0, 2, 4].map((part) => parseInt(text.slice(at + part, at + part + 2), 16)));
    }
    return found;
  }

  const COLOURS = stops(VIRIDIS);

  /* The colour [r, g, b] of a value 0..1 on a scale of evenly spaced stops. */
  function colour(value, scale = COLOURS) {
    const place = Math.min(Math.max(value, 0), 1) * (scale.length - 1);
    const low = Math.min(Math.floor(place), scale.length - 2);
    return scale[low].map((part, index) => Math.round(part + (place - low) * (scale[low + 1][index] - part)));
  }

  /* A plane of cells (h x w) at size x size pixels: the first cell's centre lies half a cell from the edge, values blend
   * from one centre to the next and go on beyond the last one. */
  function spread(plane, size, cell) {
    const between = (pixel, count) => {
      const place = Math.min(Math.max((pixel + 0.5) / cell - 0.5, 0), count - 1);
      const low = Math.min(Math.floor(place), Math.max(count - 2, 0));
      return [low, Math.min(low + 1, count - 1), place - low];
    };
    const columns = Array.from({ length: size }, (_, pixel) => between(pixel, plane[0].length));
    const values = new Float32Array(size * size);
    for (let row = 0; row < size; row += 1) {
      const [top, bottom, down] = between(row, plane.length);
      columns.forEach(([left, right, along], column) => {
        const above = plane[top][left] + along * (plane[top][right] - plane[top][left]);
        const below = plane[bottom][left] + along * (plane[bottom][right] - plane[bottom][left]);
        values[row * size + column] = above + down * (below - above);
      });
    }
    return values;
  }

  function painted(plane, size, cell) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    const picture = context.createImageData(size, size);
    spread(plane, size, cell).forEach((value, pixel) => {
      picture.data.set([...colour(value), 255], 4 * pixel);
    });
    context.putImageData(picture, 0, 0);
    return canvas;
  }

  function made(tag, attributes = {}, parent = null) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "text") node.textContent = value;
      else node.setAttribute(name, value);
    }
    if (parent) parent.append(node);
    return node;
  }

  // One clock for all clips that play.
  const playing = new Set();
  let ticking = false;
  function tick(now) {
    for (const clip of playing) clip.advance(now);
    ticking = playing.size > 0;
    if (ticking) requestAnimationFrame(tick);
  }
  function run() {
    if (ticking) return;
    ticking = true;
    requestAnimationFrame(tick);
  }

  // A clip out of view waits; the reader's own pause stays.
  const seen =
    "IntersectionObserver" in window
      ? new IntersectionObserver((entries) => {
          for (const { target, isIntersecting } of entries) target.setVisible(isIntersecting);
        })
      : null;

  class EchoClip extends HTMLElement {
    connectedCallback() {
      if (this.picture) return;
      this.index = 0;
      this.visible = !seen;
      this.wanted = !still.matches;
      this.overlay = true;
      this.build();
      const image = this.querySelector("img");
      if (image) {
        const given = {
          image,
          x: 0,
          y: 0,
          frames: Number(this.getAttribute("frames")),
          fps: Number(this.getAttribute("fps")),
          label: this.getAttribute("label") || image.alt,
          saliency: this.hasAttribute("saliency") ? JSON.parse(this.getAttribute("saliency")) : null,
          cell: Number(this.getAttribute("cell")) || 0,
        };
        const start = () => this.show({ ...given, size: image.naturalHeight });
        if (image.complete && image.naturalHeight) start();
        else image.addEventListener("load", start, { once: true });
      }
      if (seen) seen.observe(this);
      still.addEventListener("change", () => still.matches && this.pause());
    }

    disconnectedCallback() {
      playing.delete(this);
    }

    build() {
      const width = Number(this.getAttribute("width")) || 192;
      this.style.setProperty("--echo-clip-width", `${width}px`);
      this.picture = made("canvas", { "data-part": "picture", role: "img" });
      const sharp = Math.min(Math.ceil(window.devicePixelRatio || 1), 3);
      this.picture.width = this.picture.height = width * sharp;
      const bar = made("div", { class: "echo-clip-bar" });
      this.button = made("button", { type: "button", "data-action": "play" }, bar);
      this.button.innerHTML = '<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path/></svg>';
      this.button.addEventListener("click", () => (this.wanted ? this.pause() : this.play()));
      this.count = made("span", { "data-part": "count", "aria-hidden": "true" }, bar);
      const toggle = { type: "button", "data-action": "saliency", "aria-pressed": "true", text: "Saliency" };
      this.toggle = made("button", { ...toggle, hidden: "" }, bar);
      this.toggle.addEventListener("click", () => this.setOverlay(!this.overlay));
      this.scale = made("div", { class: "echo-clip-scale", hidden: "" });
      made("span", { text: "none" }, this.scale);
      const ramp = made("span", { class: "echo-clip-ramp", "aria-hidden": "true" }, this.scale);
      ramp.style.background = `linear-gradient(90deg, ${COLOURS.map((each) => `rgb(${each})`).join(",")})`;
      made("span", { text: "most" }, this.scale);
      made("span", { class: "echo-clip-words", text: "raises the predicted EF" }, this.scale);
      this.append(this.picture, bar, this.scale);
      this.setAttribute("ready", "");
    }

    show(source) {
      this.source = source;
      this.maps = null;
      if (source.saliency && source.saliency.length) {
        const size = Math.min(source.size, 128);
        const cell = (source.cell || source.size / source.saliency[0].length) * (size / source.size);
        this.maps = source.saliency.map((plane) => painted(plane, size, cell));
      }
      this.toggle.hidden = !this.maps;
      this.index %= source.frames;
      this.started = null;
      this.tell();
      this.draw();
      this.follow();
    }

    play() {
      this.wanted = true;
      this.follow();
    }

    pause() {
      this.wanted = false;
      this.follow();
    }

    setVisible(visible) {
      this.visible = visible;
      this.follow();
    }

    setOverlay(overlay) {
      this.overlay = overlay;
      this.tell();
      this.draw();
      this.dispatchEvent(new CustomEvent("saliency", { bubbles: true }));
    }

    /* Starts or stops to fit what is wanted. */
    follow() {
      const go = Boolean(this.wanted && this.visible && this.source);
      this.toggleAttribute("playing", go);
      this.tell();
      if (go === playing.has(this)) return;
      this.started = null;
      if (!go) {
        playing.delete(this);
        return;
      }
      playing.add(this);
      run();
    }

    tell() {
      const label = this.source ? this.source.label : this.getAttribute("label") || "clip";
      this.button.setAttribute("aria-label", `${this.wanted ? "Pause" : "Play"}: ${label}`);
      this.button.querySelector("path").setAttribute("d", ICONS[this.wanted ? "pause" : "play"]);
      const shown = this.maps && this.overlay;
      this.toggle.setAttribute("aria-pressed", String(this.overlay));
      this.toggle.setAttribute("aria-label", `Saliency: ${label}`);
      this.scale.hidden = !shown;
      this.picture.setAttribute("aria-label", shown ? `${label}, under a map of what raises the predicted EF` : label);
    }

    advance(now) {
      const { frames, fps } = this.source;
      if (this.started === null) this.started = now - (1000 * this.index) / fps;
      const index = Math.floor(((now - this.started) / 1000) * fps) % frames;
      if (index === this.index) return;
      this.index = index;
      this.draw();
    }

    draw() {
      const { image, x, y, size, frames } = this.source;
      const side = this.picture.width;
      const context = this.picture.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(image, x + this.index * size, y, size, size, 0, 0, side, side);
      if (this.maps && this.overlay) {
        context.globalAlpha = OPACITY;
        context.drawImage(this.maps[Math.floor((this.index * this.maps.length) / frames)], 0, 0, side, side);
        context.globalAlpha = 1;
      }
      this.count.textContent = `${this.index + 1}/${frames}`;
    }
  }

  // Once the page is read: an element met earlier would not have its picture yet.
  const define = () => customElements.get("echo-clip") || customElements.define("echo-clip", EchoClip);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", define);
  else define();
  window.coreechoClips = { colour, stops, spread };
})();
