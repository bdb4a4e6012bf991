// The texts of a page whose contrast with what lies behind them is below 4.5:1 (WCAG 2.2, 1.4.3), with their ratio.
() => {
  const parse = (color) => {
    const numbers = color.match(/[\d.]+/g).map(Number);
    return numbers.length < 4 ? [...numbers, 1] : numbers;
  };
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3]));
  const channel = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const lineage = (element) => (element ? [element, ...lineage(element.parentElement)] : []);
  const behind = (element) =>
    lineage(element)
      .reverse()
      .reduce((back, one) => over(parse(getComputedStyle(one).backgroundColor), back), [255, 255, 255]);
  const pale = [];
  for (const element of document.querySelectorAll("[data-testid=stMain] *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
    if (!text.length || element.closest("svg, [disabled]")) continue;
    const back = behind(element);
    const front = parse(getComputedStyle(element).color);
    front[3] *= lineage(element).reduce((opacity, one) => opacity * Number(getComputedStyle(one).opacity), 1);
    const [light, dark] = [luminance(over(front, back)), luminance(back)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) pale.push(`${ratio.toFixed(2)}: ${text[0].textContent.trim().slice(0, 40)}`);
  }
  return pale;
}
