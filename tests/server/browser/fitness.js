// What is wrong with the page as it is shown: contrast below AA, things too small to press, scrolling to the side, fields without a name.
() => {
  const found = [];
  const parse = (text) => {
    let parts = text.match(/^rgba?\(([^)]+)\)$/);
    if (parts) {
      const [r, g, b, a = 1] = parts[1].split(/[\s,/]+/).filter(Boolean).map(Number);
      return [r, g, b, a];
    }
    parts = text.match(/^color\(srgb ([^)]+)\)$/);
    if (parts) {
      const [r, g, b, a = 1] = parts[1].split(/[\s/]+/).filter(Boolean).map(Number);
      return [r * 255, g * 255, b * 255, a];
    }
    return null;
  };
  const over = (top, ground) => top.slice(0, 3).map((one, i) => one * top[3] + ground[i] * (1 - top[3])).concat(1);
  const groundOf = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour && colour[3] > 0) layers.push(colour);
      if (colour && colour[3] === 1) break;
    }
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    return layers.reverse().reduce((ground, layer) => over(layer, ground), dark ? [0, 0, 0, 1] : [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const shown = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  const opacityOf = (element) => {
    let found = 1;
    for (let one = element; one; one = one.parentElement) found *= Number(getComputedStyle(one).opacity);
    return found;
  };
  const name = (element) => `${element.tagName.toLowerCase()}.${element.getAttribute("class") || ""} “${(element.textContent || "").trim().slice(0, 40)}”`;

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || seen.has(element) || !shown(element)) continue;
    seen.add(element);
    if (element.closest("[disabled], .unseen, .skip, noscript, option, svg")) continue;
    const style = getComputedStyle(element);
    const colour = parse(style.color);
    if (!colour) { found.push(`colour ${style.color} of ${name(element)}`); continue; }
    const ground = groundOf(element);
    const ink = over([colour[0], colour[1], colour[2], colour[3] * opacityOf(element)], ground);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(ink, ground);
    if (ratio < (large ? 3 : 4.5) - 0.005) found.push(`contrast ${ratio.toFixed(2)} of ${name(element)}`);
  }

  for (const element of document.querySelectorAll("button, .button, summary, nav a, input:not([type=hidden]), select, textarea")) {
    if (!shown(element) || element.closest(".unseen, .skip")) continue;
    const target = element.matches("input[type=checkbox], input[type=radio]") ? element.closest("label") || element : element;
    const box = target.getBoundingClientRect();
    if (element.closest(".crumbs")) continue; // inline in a line of text
    const least = innerWidth < 500 && element.matches("button, .button") ? 40 : 24;
    if (box.height < least - 0.5 || box.width < 24 - 0.5) found.push(`${Math.round(box.width)}×${Math.round(box.height)} px: ${name(element)}`);
  }

  for (const element of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    const label = element.labels && element.labels.length ? element.labels[0].textContent.trim() : "";
    if (!label && !element.getAttribute("aria-label")) found.push(`no label: ${element.name}`);
  }
  for (const element of document.querySelectorAll("button, a[href], summary")) {
    const said = (element.textContent || "").trim() || element.getAttribute("aria-label") || element.querySelector("[aria-label]");
    if (!said && shown(element)) found.push(`no name: ${element.outerHTML.slice(0, 120)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of new Set(ids.filter((one, i) => ids.indexOf(one) !== i))) found.push(`id ${id} stands twice`);
  if (document.querySelectorAll("h1").length !== 1) found.push(`${document.querySelectorAll("h1").length} h1`);
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) {
    const far = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1).slice(-1)[0];
    found.push(`scrolls to the side: ${wide} > ${innerWidth} px, ${far ? name(far) : ""}`);
  }
  return found;
}
