#include "trackside_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
  const char *begin;
  const char *at;
  const char *end;
  const char *expected;  // what was not found at `at`
} reader;

static ts_json *value(reader *in, int depth);

static void *refuse(reader *in, const char *expected) {
  if (in->expected == NULL) in->expected = expected;
  return NULL;
}

static void skip_space(reader *in) {
  while (in->at < in->end && memchr(" \t\r\n", *in->at, 4) != NULL) in->at++;
}

static bool next_is(reader *in, char c) {
  skip_space(in);
  if (in->at == in->end || *in->at != c) return false;
  in->at++;
  return true;
}

static bool digits(reader *in) {
  const char *start = in->at;
  while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
  return in->at > start;
}

static bool number(reader *in, ts_text *text) {
  const char *start = in->at;
  if (in->at < in->end && *in->at == '-') in->at++;
  bool zero = in->at < in->end && *in->at == '0';
  if (zero) in->at++;
  if (!zero && !digits(in)) return refuse(in, "a digit"), false;
  if (in->at < in->end && *in->at == '.') {
    in->at++;
    if (!digits(in)) return refuse(in, "a digit"), false;
  }
  if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
    in->at++;
    if (in->at < in->end && (*in->at == '+' || *in->at == '-')) in->at++;
    if (!digits(in)) return refuse(in, "a digit"), false;
  }
  *text = (ts_text){start, (size_t)(in->at - start)};
  return true;
}

// The four hexadecimal digits of an escape; -1 if they are none.
static long unit(reader *in) {
  if (in->end - in->at < 4) return -1;
  long code = 0;
  for (int i = 0; i < 4; i++) {
    char c = *in->at++;
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}

// Writes the character that `\u` begins, as UTF-8.
static bool unicode(reader *in, char **out) {
  long code = unit(in);
  if (code >= 0xD800 && code <= 0xDBFF) {
    if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u') return false;
    in->at += 2;
    long low = unit(in);
    if (low < 0xDC00 || low > 0xDFFF) return false;
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  } else if (code < 0 || (code >= 0xDC00 && code <= 0xDFFF)) {
    return false;
  }
  if (code < 0x80) {
    *(*out)++ = (char)code;
  } else if (code < 0x800) {
    *(*out)++ = (char)(0xC0 | code >> 6);
    *(*out)++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *(*out)++ = (char)(0xE0 | code >> 12);
    *(*out)++ = (char)(0x80 | (code >> 6 & 0x3F));
    *(*out)++ = (char)(0x80 | (code & 0x3F));
  } else {
    *(*out)++ = (char)(0xF0 | code >> 18);
    *(*out)++ = (char)(0x80 | (code >> 12 & 0x3F));
    *(*out)++ = (char)(0x80 | (code >> 6 & 0x3F));
    *(*out)++ = (char)(0x80 | (code & 0x3F));
  }
  return true;
}

// A string, whose opening quote was read.
static bool string(reader *in, ts_text *text) {
  static const char escapes[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  const char *close = in->at;
  while (close < in->end && *close != '"') close += *close == '\\' ? 2 : 1;
  if (close >= in->end) return refuse(in, "the closing quote of this string"), false;
  // Escapes are longer than what they stand for.
  char *start = ts_alloc((size_t)(close - in->at));
  char *out = start;
  while (*in->at != '"') {
    char c = *in->at;
    if ((unsigned char)c < 0x20) return refuse(in, "an escape in place of a control character"), false;
    in->at++;
    if (c != '\\') {
      *out++ = c;
      continue;
    }
    const char *escape = *in->at == '\0' ? NULL : strchr(escapes, *in->at);
    if (escape != NULL) {
      *out++ = meanings[escape - escapes];
      in->at++;
    } else if (*in->at++ != 'u' || !unicode(in, &out)) {
      return refuse(in, "an escape"), false;
    }
    if (in->at > close) return refuse(in, "an escape"), false;
  }
  in->at++;
  *text = (ts_text){start, (size_t)(out - start)};
  return true;
}

// The elements of a list or the members of a table, whose opening bracket was read.
static bool items(reader *in, ts_json *parent, char close, int depth) {
  if (next_is(in, close)) return true;
  const ts_json **link = &parent->first;
  do {
    skip_space(in);
    const char *start = in->at;
    ts_text key = {"", 0};
    if (close == '}') {
      if (!next_is(in, '"')) return refuse(in, "a key"), false;
      if (!string(in, &key)) return false;
      if (!next_is(in, ':')) return refuse(in, "`:`"), false;
    }
    ts_json *item = value(in, depth);
    if (item == NULL) return false;
    item->key = key;
    item->member = (ts_text){start, (size_t)(in->at - start)};
    *link = item;
    link = &item->next;
    parent->count++;
  } while (next_is(in, ','));
  if (!next_is(in, close)) return refuse(in, close == '}' ? "`,` or `}`" : "`,` or `]`"), false;
  return true;
}

static bool word(reader *in, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0) return false;
  in->at += length;
  return true;
}

static ts_json *value(reader *in, int depth) {
  skip_space(in);
  if (depth > TS_JSON_MAX_DEPTH) return refuse(in, "less nesting");
  if (in->at == in->end) return refuse(in, "a value");
  ts_json *read = ts_alloc(sizeof(ts_json));
  *read = (ts_json){.kind = TS_JSON_NULL};
  const char *start = in->at;
  bool well = true;
  switch (*in->at) {
    case '{':
      in->at++;
      read->kind = TS_JSON_TABLE;
      well = items(in, read, '}', depth + 1);
      break;
    case '[':
      in->at++;
      read->kind = TS_JSON_LIST;
      well = items(in, read, ']', depth + 1);
      break;
    case '"':
      in->at++;
      read->kind = TS_JSON_TEXT;
      well = string(in, &read->text);
      break;
    default:
      if (word(in, "null")) break;
      read->kind = TS_JSON_BOOLEAN;
      if (word(in, "false")) break;
      read->boolean = true;
      if (word(in, "true")) break;
      read->kind = TS_JSON_NUMBER;
      read->boolean = false;
      if (*in->at != '-' && (*in->at < '0' || *in->at > '9')) return refuse(in, "a value");
      well = number(in, &read->text);
  }
  read->raw = (ts_text){start, (size_t)(in->at - start)};
  return well ? read : NULL;
}

const ts_json *ts_json_read(ts_text document, ts_text *error) {
  reader in = {document.ptr, document.ptr, document.ptr + document.len, NULL};
  ts_json *read = value(&in, 0);
  if (read != NULL) {
    skip_space(&in);
    if (in.at == in.end) return read;
    refuse(&in, "the end");
  }
  *error = ts_format("byte %zu: expected %s", (size_t)(in.at - in.begin), in.expected);
  return NULL;
}

const ts_json *ts_json_get(const ts_json *table, const char *key) {
  if (table->kind != TS_JSON_TABLE) return NULL;
  for (const ts_json *member = table->first; member != NULL; member = member->next) {
    if (ts_equal(member->key, ts_of(key))) return member;
  }
  return NULL;
}

static const char *kind_name(ts_json_kind kind) {
  static const char *const names[] = {"null", "true or false", "a number", "text", "a list", "a table"};
  return names[kind];
}

static const ts_json *setting(const ts_json *settings, const char *key, ts_json_kind kind, ts_text *error) {
  const ts_json *found = ts_json_get(settings, key);
  if (found == NULL) {
    *error = ts_format("`%s` is missing", key);
  } else if (found->kind != kind) {
    *error = ts_format("%s: must be %s, not %s", key, kind_name(kind), kind_name(found->kind));
  } else {
    return found;
  }
  return NULL;
}

bool ts_settings_only(const ts_json *settings, const char *const *keys, ts_text *error) {
  if (settings->kind != TS_JSON_TABLE) {
    *error = ts_format("the settings must be a table, not %s", kind_name(settings->kind));
    return false;
  }
  for (const ts_json *member = settings->first; member != NULL; member = member->next) {
    const char *const *known = keys;
    while (*known != NULL && !ts_equal(member->key, ts_of(*known))) known++;
    if (*known == NULL) {
      *error = ts_format("%.*s: there is no such setting", TS_ARG(member->key));
      return false;
    }
  }
  return true;
}

bool ts_settings_text(const ts_json *settings, const char *key, ts_text *value, ts_text *error) {
  const ts_json *found = setting(settings, key, TS_JSON_TEXT, error);
  if (found != NULL) *value = found->text;
  return found != NULL;
}

bool ts_settings_boolean(const ts_json *settings, const char *key, bool *value, ts_text *error) {
  const ts_json *found = setting(settings, key, TS_JSON_BOOLEAN, error);
  if (found != NULL) *value = found->boolean;
  return found != NULL;
}

bool ts_settings_list(const ts_json *settings, const char *key, const ts_json **list, ts_text *error) {
  *list = setting(settings, key, TS_JSON_LIST, error);
  return *list != NULL;
}

// The spelling of a number, ended by a zero as the C library wants it.
static const char *spelling(const ts_json *number) { return ts_format("%.*s", TS_ARG(number->text)).ptr; }

bool ts_settings_number(const ts_json *settings, const char *key, double *value, ts_text *error) {
  const ts_json *found = setting(settings, key, TS_JSON_NUMBER, error);
  if (found != NULL) *value = strtod(spelling(found), NULL);
  return found != NULL;
}

bool ts_settings_integer(const ts_json *settings, const char *key, int64_t *value, ts_text *error) {
  const ts_json *found = setting(settings, key, TS_JSON_NUMBER, error);
  if (found == NULL) return false;
  char *end;
  errno = 0;
  *value = strtoll(spelling(found), &end, 10);
  if (*end == '\0' && errno == 0) return true;
  *error = ts_format("%s: must be a whole number of at most 64 bits", key);
  return false;
}
