// Shows a growing text: as it is, with its spaces and lines, and fenced code set apart. Nothing of it is ever markup.

const opening = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)$/;

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// From `start` on, where no fence is open: [{start, code, language, text}].
export function blocks_of(source, start = 0) {
  const blocks = [];
  let at = start;
  let open = null;
  const plain = () => {
    if (blocks.length && !blocks.at(-1).code) return blocks.at(-1);
    blocks.push({ start: at, code: false, lines: [] });
    return blocks.at(-1);
  };
  for (const line of source.slice(start).split("\n")) {
    const fence = open ? null : opening.exec(line);
    if (fence) {
      open = { start: at, code: true, language: fence[2].trim(), lines: [], fence: fence[1] };
      blocks.push(open);
    } else if (open && closes(line, open.fence)) {
      open = null;
    } else {
      (open ?? plain()).lines.push(line);
    }
    at += line.length + 1;
  }
  return blocks.map(({ lines, ...block }) => ({ ...block, text: lines.join("\n") }));
}

function closes(line, fence) {
  const bare = line.trim();
  return bare.length >= fence.length && bare === fence[0].repeat(bare.length) && !/^ {4}/.test(line);
}

export class text_view {
  constructor() {
    this.node = element("div", { class: "text", dir: "auto" });
    this.source = "";
    this.open_at = 0; // where the last block begins: what stands before it is finished
    this.last = [];   // nodes from open_at on
  }

  set(source) {
    if (source === this.source) return;
    if (!source.startsWith(this.source)) {
      this.node.replaceChildren();
      this.open_at = 0;
      this.last = [];
    }
    this.source = source;
    const blocks = blocks_of(source, this.open_at);
    const [first] = this.last;
    // The usual case: the last block has grown.
    if (blocks.length === 1 && first && first.code === blocks[0].code && first.language === blocks[0].language) {
      grow(first.body, blocks[0].text);
      return;
    }
    first?.node.remove();
    const views = blocks.map(view_of);
    this.node.append(...views.map((v) => v.node));
    this.last = views.slice(-1);
    this.open_at = blocks.at(-1)?.start ?? this.open_at;
  }
}

// Adds to the text node what is new, so that a selection in it survives.
function grow(node, text) {
  const had = node.data;
  if (text.startsWith(had)) node.appendData(text.slice(had.length));
  else node.data = text;
}

function view_of(block) {
  const body = document.createTextNode(block.text);
  if (!block.code) return { ...block, body, node: element("p", {}, body) };
  const pre = element("pre", { tabindex: "0" }, element("code", {}, body));
  return { ...block, body, node: element("div", { class: "block" }, element("div", {}, block.language), pre) };
}
