// Strict JSON for the headers of tensor files: JSON.parse takes keys given twice, rounds integers beyond 2**53 and makes
// 1.0 and 1 the same. Runs in Node and in a page.

export const DEEPEST = 16;

const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const QUOTE_OR_ESCAPE = /["\\]/g;

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  space() {
    this.match(SPACE);
  }

  fail() {
    throw new Error(`it isn't JSON at character ${this.at}`);
  }

  // Whether the next character is this one, which is then taken.
  takes(character) {
    this.space();
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  value(depth) {
    this.space();
    const next = this.text[this.at];
    if (next === "{") return this.object(depth);
    if (next === "[") return this.array(depth);
    if (next === '"') return this.string();
    for (const [word, value] of [
      ["null", null],
      ["true", true],
      ["false", false],
    ]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  // Integers are BigInt, all else that is a number a Number: 1.0, 1e0 and -0 are no sizes.
  number() {
    const found = this.match(NUMBER);
    if (!found) this.fail();
    const [text, fraction, exponent] = found;
    if (!Number.isFinite(Number(text))) throw new Error("a number that is too large");
    return fraction || exponent || text === "-0" ? Number(text) : BigInt(text);
  }

  string() {
    if (this.text[this.at] !== '"') this.fail();
    const begin = this.at;
    for (this.at += 1; ; this.at += 2) {
      QUOTE_OR_ESCAPE.lastIndex = this.at;
      const found = QUOTE_OR_ESCAPE.exec(this.text);
      if (!found) this.fail();
      this.at = found.index;
      if (found[0] === '"') break;
    }
    this.at += 1;
    const value = JSON.parse(this.text.slice(begin, this.at));
    if (/\p{Surrogate}/u.test(value)) throw new Error("half a character");
    return value;
  }

  array(depth) {
    deeper(depth);
    this.at += 1;
    const values = [];
    if (this.takes("]")) return values;
    do values.push(this.value(depth + 1));
    while (this.takes(","));
    if (!this.takes("]")) this.fail();
    return values;
  }

  object(depth) {
    deeper(depth);
    this.at += 1;
    const values = new Map();
    if (this.takes("}")) return values;
    do {
      this.space();
      const key = this.string();
      if (values.has(key)) throw new Error(`key ${JSON.stringify(key)} is given twice`);
      if (!this.takes(":")) this.fail();
      values.set(key, this.value(depth + 1));
    } while (this.takes(","));
    if (!this.takes("}")) this.fail();
    return values;
  }
}

function deeper(depth) {
  if (depth > DEEPEST) throw new Error(`it is nested deeper than ${DEEPEST}`);
}

// An object in a text that begins with "{", as a Map in which objects are Maps and integers BigInts.
export function parseObject(text) {
  if (typeof text !== "string" || text[0] !== "{") throw new Error("it doesn't begin with {");
  const reader = new Reader(text);
  const found = reader.value(1);
  reader.space();
  if (reader.at !== text.length) reader.fail();
  return found;
}
