// The inputs for what a template asks for, and the checks that the server makes
// again (`Field` and `Fields` of crates/providers).

const FORMATS = {
  hostname: {
    is: (text) => text.length <= 253 && text.split('.').every((part) => /^[a-z\d-]{1,63}$/i.test(part)),
    said: 'must be a host name',
  },
  uri: {
    is: (text) => /^https?:$/.test(URL.canParse(text) ? new URL(text).protocol : ''),
    said: 'must be an http(s) URL',
  },
  uuid: { is: (text) => /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text), said: 'must be a UUID' },
  email: {
    is: (text) => /^[^@\s]+@[^@\s]+$/.test(text) && FORMATS.hostname.is(text.split('@')[1]),
    said: 'must be an e-mail address',
  },
};

/** Whether a pattern fits. One that only the server can read is left to it. */
function fits(pattern, text) {
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return true;
  }
}

/** What is wrong with a text that is not empty, or nothing. */
function mistake({ schema, title }, text) {
  const like = schema.example ? ` (for example ${schema.example})` : '';
  if (schema.enum && !schema.enum.includes(text)) return `${title} must be one of the choices.`;
  const format = FORMATS[schema.format];
  if (format && !format.is(text)) return `${title} ${format.said}${like}.`;
  if (schema.pattern && !fits(schema.pattern, text)) {
    return `${title} does not have the expected form${like}.`;
  }
  return null;
}

/** A text with what stands in backticks as code. */
function written(text) {
  const parts = text.split('`');
  if (parts.length % 2 === 0) return [text];
  return parts.map((part, position) => {
    if (position % 2 === 0) return part;
    return Object.assign(document.createElement('code'), { textContent: part });
  });
}

/** Keys and certificates, which are pasted with their line breaks (PEM, JSON). */
const LINES = /^(client_)?private_?key$|^client_certificate$|^assertion$/i;

/** Whether a field takes several lines, which a pattern of another form forbids. */
function hasLines(name, { pattern }) {
  return LINES.test(name) && (!pattern || pattern.includes('BEGIN'));
}

let numbered = 0;

/** One field with its label, help and error; `group` is where its value goes. */
class Field {
  constructor(group, name, schema, { isRequired, hint }) {
    this.group = group;
    this.name = name;
    this.schema = schema;
    // Some templates' titles say it themselves, and the label says it below.
    this.title = (schema.title || name).replace(/ \(optional\)$/i, '');
    this.isRequired = isRequired;
    this.element = document.getElementById('field').content.cloneNode(true).firstElementChild;
    const id = `field-${(numbered += 1)}`;
    if (schema.enum) this.input = this.#select();
    else this.input = hasLines(name, schema) ? this.#lines() : this.#text();
    Object.assign(this.input, { id, name, required: isRequired });
    const label = this.element.querySelector('label');
    label.htmlFor = id;
    label.textContent = this.title;
    if (!isRequired) label.append(Object.assign(document.createElement('span'), { textContent: ' (optional)' }));
    this.#around(id, hint);
    this.input.addEventListener('input', () => this.say(null));
  }

  #text() {
    const { secret, format } = this.schema;
    const type = secret ? 'password' : { email: 'email', uri: 'url' }[format] ?? 'text';
    return this.#typed('input', { type });
  }

  #lines() {
    const placeholder = this.schema.pattern ? '-----BEGIN …' : '';
    return this.#typed('textarea', { rows: 6, placeholder });
  }

  #typed(tag, more) {
    const { example, default_value: preset } = this.schema;
    return Object.assign(document.createElement(tag), {
      placeholder: example ?? '',
      // What the form goes back to when it is reset.
      defaultValue: preset ?? '',
      autocomplete: 'off',
      autocapitalize: 'none',
      spellcheck: false,
      ...more,
    });
  }

  #select() {
    const { enum: choices, default_value: preset } = this.schema;
    const select = document.createElement('select');
    if (!choices.includes(preset)) select.add(new Option('Choose…', ''));
    for (const choice of choices) select.add(new Option(choice, choice, false, choice === preset));
    return select;
  }

  /** What stands around the input, which describes it to those who cannot see it. */
  #around(id, hint) {
    const [before, after] = this.element.querySelectorAll('.affix');
    before.after(this.input);
    this.wrong = this.element.querySelector('.wrong');
    const texts = [
      [before, this.schema.prefix],
      [after, this.schema.suffix],
      [this.element.querySelector('.hint'), [this.schema.description, hint].filter(Boolean).join(' ')],
      [this.wrong, ''],
    ];
    const describing = texts.map(([element, text], position) => {
      element.id = `${id}-${position}`;
      element.replaceChildren(...written(text ?? ''));
      element.hidden = !text;
      return text || element === this.wrong ? element.id : '';
    });
    this.input.setAttribute('aria-describedby', describing.filter(Boolean).join(' '));
  }

  /** Without an order: the configuration, then names, what is secret, and what may stay empty. */
  get rank() {
    if (this.group === 'config') return 0;
    if (this.schema.optional) return 3;
    return this.schema.secret || this.input.type === 'textarea' ? 2 : 1;
  }

  get value() {
    if (this.element.hidden) return '';
    // A password may begin or end with a space.
    return this.input.type === 'password' ? this.input.value : this.input.value.trim();
  }

  /** Shows an error at the field, or none. */
  say(message) {
    this.wrong.textContent = message ?? '';
    this.wrong.hidden = !message;
    this.input.setAttribute('aria-invalid', String(Boolean(message)));
    return !message;
  }

  check() {
    if (this.element.hidden) return true;
    if (this.value) return this.say(mistake(this, this.value));
    return this.say(this.isRequired ? `${this.title} is required.` : null);
  }
}

/** All fields of one form. */
class Fields {
  /** `either` names fields of which one must be filled. */
  constructor(list, either) {
    this.list = list.sort((a, b) => (a.schema.order ?? Infinity) - (b.schema.order ?? Infinity) || a.rank - b.rank);
    this.either = list.filter((field) => either.includes(field.name) && field.group === 'credentials');
    for (const field of list) field.input.addEventListener('input', () => this.reveal());
    this.reveal();
  }

  /** Shows a field while the one that it depends on has the value for it. */
  reveal() {
    for (const { schema, group, element } of this.list) {
      const on = schema.visible_when;
      if (!on) continue;
      const other = this.list.find((field) => field.group === group && field.name === on.field);
      element.hidden = other?.value !== on.equals;
    }
  }

  /** Whether all is well; if not, the first that is wrong has the focus. */
  check() {
    const checked = this.list.map((field) => field.check());
    if (this.either.length > 1 && this.either.every((field) => !field.value)) {
      const titles = this.either.map((field) => field.title).join(' or ');
      checked[this.list.indexOf(this.either[0])] = this.either[0].say(`${titles} is required.`);
    }
    return this.#focusFirst(checked);
  }

  /** Shows the server's errors at their fields; gives those that have none. */
  blame(errors) {
    const checked = this.list.map(() => true);
    const left = errors.filter(({ path, message }) => {
      const at = this.list.findIndex((field) => field.name === path.at(-1) && !field.element.hidden);
      if (at < 0) return true;
      const field = this.list[at];
      checked[at] = field.say(`${field.title} ${message.replace(/^`[^`]*` /, '')}.`);
      return false;
    });
    this.#focusFirst(checked);
    return left;
  }

  #focusFirst(checked) {
    const first = checked.indexOf(false);
    if (first >= 0) this.list[first].input.focus();
    return first < 0;
  }

  /** What was entered for a group, without what was left empty. */
  values(group) {
    const filled = this.list.filter((field) => field.group === group && field.value);
    return Object.fromEntries(filled.map((field) => [field.name, field.value]));
  }
}
