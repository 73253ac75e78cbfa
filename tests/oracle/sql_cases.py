#!/usr/bin/env python3
"""Writes seeded SQL case lines for a comparison with the agent's own code.

usage: sql_cases.py KIND COUNT SEED [GO_TEST_FILE...]
KIND: default (no options), options (default tokenizer with options), modes (go-sqllexer), chain.
Statements come from a grammar of several dialects with odd spaces, comments, quotes and literals; from soups of tokens;
and from mutations of both and of the string literals of the Go test files named, which are read where they are.
"""
import ast, json, random, re, sys

kind, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
r = random.Random(seed)
pick = r.choice


def maybe(p, text, other=""):
    return text if r.random() < p else other


def space():
    if r.random() < .85:
        return " "
    return pick(["  ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\f", "\v", " /* c */ ", " -- x\n", "/**/", " # y\n", "\n--\n", " // z\n"])


WORDS = ["a", "secret", "O''Brien", "it\\'s", "x' OR '1'='1", "100%", "semi;colon", "--no", "/* nor */", "\u65e5\u672c\u8a9e", "C:\\dir\\", "a\\\\",
         "", " ", "line\nbreak", "\U0001f642", "\u00a0nbsp", "?", ":a", "@b", "{json: 1}", "[1,2]", "$1", "`b`", "\"q\"", "2024-01-01", "''"]
NAMES = ["id", "users", "o.total", "shop.dbo.Customers", "_hidden", "tbl9", "tbl$1", "col#1", "events_2024_05", "\u540d\u524d", "stra\u00dfe", "t.*", "x.y.z", "`key`",
         "`my db`.`tbl`", "\"public\".\"User Data\"", "\"Mixed\"", "[dbo].[Order Details]", "[col]", "#tmp", "##global", "@tablevar", "$sys", "t1", "a1b2", "\"a1\"",
         "user", "`a1`", "\u00fcser.p\u00e5th", "database.t", "\"t\".x", "AS_", "nullable", "Selected", "@@rowcount", "EXTRACT", "t.[Col]", "a.\"B\""]
ALIASES = ["c", "cnt", "\"Total Sum\"", "`x y`", "[z z]", "'lit'", "b2", "\u00fcn\u00ef", "AS_", "t_1", "\"simple\"", "[s1]", "\"two.parts\""]


def literal():
    w = pick(WORDS)
    q = lambda s: "'" + s + "'"
    return pick([lambda: str(r.randrange(10 ** r.randrange(1, 12))), lambda: q(w), lambda: q(w), lambda: q(pick(["bob", "open", "x y"])), lambda: "%.3f" % (r.random() * 1000),
                 lambda: pick(["NULL", "TRUE", "false", "null"]), lambda: pick(["$1", "$42", "?", "?1", ":name", ":1", "@P0", "%s", "%(name)s", "%d", "${id}", "#{x}", "<?>", "@x@", ":a.b"]),
                 lambda: pick(["-1", "- 1", "+7", "-.5", ".62", "9.", "9..8", "1e5", "1.5E-2", "0xFF", "0X2d", "0777", "089", "1_000", "42L", "-.x", "1e+", "5end"]),
                 lambda: pick(["N", "E", "b", "X", "_utf8", "U&", "q", "DATE ", "interval "]) + q(pick(WORDS)),
                 lambda: "q'" + pick(["[%s]", "{%s}", "(%s)", "!%s!", "<%s>"]) % w + "'",
                 lambda: pick(["$$%s$$", "$t$%s$t$", "$fn$%s$fn$", "$func$%s$func$", "$a b$%s$a b$"]) % pick(WORDS + [select(0)]),
                 lambda: "\"" + pick(WORDS[:8]) + "\"", lambda: pick(["'unterminated", "$tag$ x", "$t1$ x $t2$", "\"open"]) if r.random() < .1 else "7"])()


def expr(d=2):
    return pick([lambda: pick(NAMES), lambda: pick(NAMES), literal, literal, lambda: f"f({literal()}{maybe(.5, ', ' + literal())})", lambda: f"COUNT(*)", lambda: f"count( DISTINCT {pick(NAMES)} )",
                 lambda: f"CAST({pick(NAMES)} AS int)", lambda: pick(NAMES) + "::text", lambda: f"data{pick(['->>', '->', '#>', '#>>', '@>', '?', '?|', '?&', '#-', '<@'])}{literal()}",
                 lambda: f"({expr(d - 1) if d else 'a'}{pick(['+', '-', '*', '/', '||', '%', ' + ', ' - ', ' / '])}{expr(d - 1) if d else literal()})", lambda: f"array[{literal()},{literal()}]", lambda: f"ARRAY[{literal()}]::int[]",
                 lambda: f"EXTRACT({pick(['YEAR', 'epoch', 'Day', 'foo'])} FROM {pick(NAMES)})", lambda: "ROW_NUMBER() OVER (PARTITION BY a ORDER BY b DESC)", lambda: f"a[{literal()}:{literal()}]",
                 lambda: f"CASE WHEN {cond(0)} THEN {literal()} ELSE {literal()} END", lambda: f"{pick(NAMES)}{pick('+-*/%')}{literal()}"])()


def cond(d=2):
    s = space
    op = pick(["=", "<", ">", "<=", ">=", "<>", "!=", "==", "LIKE", "~", "~*", "!~", "!~*", "<=>", "^=", ":=", "IS", "IS NOT", "@@", "=", "="])
    pad = maybe(.3, "", " ")
    if op[0].isalpha():
        pad = " "
    return pick([lambda: f"{pick(NAMES)}{pad}{op}{pad}{literal()}", lambda: f"{expr(0)}{pad}{op}{pad}{expr(0)}",
                 lambda: f"{pick(NAMES)}{s()}{maybe(.3, 'NOT ')}IN{maybe(.5, ' ')}({(',' + maybe(.7, ' ')).join(literal() for _ in range(r.randrange(1, 6)))})",
                 lambda: f"{pick(NAMES)} BETWEEN {literal()} AND {literal()}", lambda: f"{pick(NAMES)} LIKE '%{pick(['a', 'b'])}%'{maybe(.2, chr(32) + 'ESCAPE ' + chr(39) + chr(92) + chr(39))}",
                 lambda: f"({', '.join(pick(NAMES) for _ in range(2))}) IN (({literal()}, {literal()}), ({literal()}, {literal()}))",
                 lambda: (f"EXISTS ({select(d - 1)})" if d else "NOT a"), lambda: (f"{pick(NAMES)} = ({select(d - 1)})" if d else "b = ANY(" + literal() + ")"), lambda: f"NOT {expr(0)}"])()


def table():
    return pick(NAMES) + maybe(.5, pick([" AS ", " as ", " "]) + pick(ALIASES))


def select(d=2):
    s = space
    w = lambda k: k if r.random() < .7 else pick([k.lower(), k.title()])
    q = w("SELECT") + s() + maybe(.15, pick(["DISTINCT ", "TOP 10 ", "DISTINCT ON (a) ", "SQL_NO_CACHE "]))
    q += (",".join(maybe(.8, " ") + expr() + maybe(.4, s() + w("AS") + s() + pick(ALIASES)) for _ in range(r.randrange(1, 5)))).lstrip()
    if r.random() < .9:
        q += s() + w("FROM") + s() + (f"({select(d - 1)}) AS sub" if d and r.random() < .2 else maybe(.9, table(), "a, b"))
    for _ in range(r.randrange(0, 2)):
        q += s() + pick(["JOIN", "LEFT JOIN", "inner join", "CROSS JOIN", "LEFT OUTER JOIN"]) + s() + table() + maybe(.8, " ON " + cond(0))
    if r.random() < .7:
        q += s() + w("WHERE") + s() + (s() + pick(["AND", "OR", "and"]) + " ").join(cond(d) for _ in range(r.randrange(1, 4)))
    q += maybe(.15, s() + "GROUP BY " + expr(0) + maybe(.4, " HAVING COUNT(*) > " + literal()))
    q += maybe(.2, s() + "ORDER BY " + expr(0) + pick(["", " DESC", " ASC NULLS LAST"]))
    q += maybe(.25, s() + pick(["LIMIT 4 OFFSET 2", "LIMIT 5, 50", "limit $1 offset $2", "LIMIT ?", "FETCH FIRST 5 ROWS ONLY", "FOR UPDATE", "FOR UPDATE SKIP LOCKED"]))
    return q


def statement():
    row = lambda: "(" + ", ".join(pick([literal, literal, literal, lambda: expr(0)])() for _ in range(r.randrange(1, 5))) + ")"
    q = pick([select, select, select, select, lambda: select() + pick([" UNION ALL ", " UNION ", " EXCEPT ", "; "]) + select(),
              lambda: f"INSERT INTO {pick(NAMES)} ({', '.join(pick(NAMES) for _ in range(r.randrange(1, 4)))}) VALUES{maybe(.5, ' ')}" + (maybe(.5, ", ", " , ")).join(row() for _ in range(r.randrange(1, 4))) + maybe(.2, " RETURNING id") + maybe(.1, " ON DUPLICATE KEY UPDATE a = VALUES(a), b = 3"),
              lambda: f"UPDATE {table()} SET " + ", ".join(f"{pick(NAMES)}{pick([' = ', '='])}{expr(0)}" for _ in range(r.randrange(1, 4))) + maybe(.8, " WHERE " + cond()),
              lambda: f"DELETE FROM {table()}" + maybe(.8, space() + "WHERE " + cond()), lambda: f"WITH {maybe(.3, 'RECURSIVE ')}{pick(['c', 'tree(n, m)'])} AS {maybe(.2, 'MATERIALIZED ')}({select(1)}) {select(1)}",
              lambda: pick(["SAVEPOINT sp_1", "BEGIN", "COMMIT;", "USE db6", "KILL QUERY 218", "SET x = 'y'", "SET @a := 5", "{call f(?, 2)}", "{? = call p(1, 'x')}", "EXEC sp_x @a = 1, @b = 'c'", "CREATE TABLE t (id int DEFAULT 5, n varchar(20))",
                            "DROP TABLE IF EXISTS t1", "ALTER TABLE t ADD COLUMN c int", "TRUNCATE TABLE x", "EXPLAIN SELECT 1", "autovacuum: VACUUM ANALYZE fake.table", "GRANT ALL ON t TO 'u'@'h'", "SHOW TABLES", "ROLLBACK TO SAVEPOINT x", "CALL p(1, 'a')", "label: LOOP"]),
              lambda: f"({select(1)}) UNION ({select(0)})", lambda: f"(@P1 int, @P2 nvarchar(20)) {select(1)}", lambda: f"MERGE INTO t USING s ON {cond(0)} WHEN MATCHED THEN UPDATE SET a = {literal()} OUTPUT $action, inserted.*",
              lambda: "CREATE FUNCTION f() RETURNS int AS $func$ " + select(0) + " $func$ LANGUAGE sql", lambda: " ".join(pick([literal, lambda: pick(NAMES), cond, lambda: pick(SOUP)])() for _ in range(r.randrange(1, 8)))])()
    q = maybe(.05, pick(["/* lead */ ", "-- lead\n", " ", "\n"])) + q
    return q + maybe(.2, pick([";", "; ", ";;", " -- tail", " /* tail */", " # tail", ",", "\n", " /* open", "\u00a0"]))


SOUP = ["select", "AS", "as", "FROM", "savepoint", "update", "INTO", "JOIN", "null", "true", "(", ")", "(", ")", ",", ",", "?", "[", "]", "=", ":", "::", ":=", ";", ".", "-", "->", "->>", "-.", "-.\u00e9", "--", "/*", "*/", "//", "#", "#>", "%", "%s", "%(", "$", "$$", "$t$",
        "$func$", "$1", "$?", "{", "}", "'", "''", "\\", "\"", "\"\"", "`", "``", "!", "!=", "!~", "~", "~*", "<", "<=", "<=>", "<>", "<@", ">", ">=", "@", "@@", "@x", "@>", "@?", "*", "+", "&", "&&", "|", "||", "^", "1", "0", "0x", "0xg", "1.5e3", ".5", "5.", "a", "b1", "_", "t.c", "\u65e5",
        "\u0130", "\u0131nto", "jo\u0131n", "\u017felect", "a\u017f", "\u0124", "\u2028", "\u0085", "\u00a0", "\ufffd", "\U0001f600", "\x00", "\n", "\t", "\r", "\v", "\u0660", "\u00b2", "EXTRACT(", "EXTRACT(year", "wee\u212a", "q'[", "]'", "N'", "x'", "delete", "with", "WHERE", "on", "values", "limit"]


def soup():
    return "".join(pick(SOUP) + maybe(.5, " ") for _ in range(r.randrange(1, 25)))


def mutate(q):
    if not q:
        return q
    for _ in range(r.randrange(1, 4)):
        i = r.randrange(len(q) + 1)
        j = min(len(q), i + r.randrange(0, 6))
        q = pick([lambda: q[:i] + pick(SOUP) + q[i:], lambda: q[:i] + q[j:], lambda: q[:i] + q[i:j] * 2 + q[j:], lambda: q[:i], lambda: q[i:] or q])()
        if not q:
            break
    return q


texts = []
for path in sys.argv[4:]:
    source = open(path, encoding="utf-8").read()
    for m in re.finditer(r'`([^`]*)`|"((?:[^"\\\n]|\\.)*)"', source):
        if m.group(1) is not None:
            texts.append(m.group(1))
        else:
            try:
                texts.append(ast.literal_eval('"' + m.group(2) + '"'))
            except (SyntaxError, ValueError):
                pass

DEFAULT = ["replace_digits", "keep_sql_alias", "dollar_quoted_func", "table_names"]
MODES = DEFAULT + ["keep_null", "keep_boolean", "keep_positional_parameter", "keep_trailing_semicolon", "keep_identifier_quotation", "remove_space_between_parentheses", "replace_bind_parameter", "keep_json_path"]


def config():
    if kind in ("default", "chain"):
        return None
    c = {k: True for k in (DEFAULT if kind == "options" else MODES) if r.random() < (.5 if kind == "options" else .25)}
    if kind == "modes":
        c["obfuscation_mode"] = pick(["normalize_only", "obfuscate_only", "obfuscate_and_normalize", "obfuscate_and_normalize"])
        if r.random() < .8:
            c["dbms"] = pick(["postgresql", "mysql", "mssql", "oracle", "snowflake", "sqlserver", "postgres", "other"])
    return c


def text():
    x = r.random()
    if x < .70:
        return statement()
    if x < .78:
        return mutate(statement())
    if x < .85:
        return soup()
    if texts:
        return pick(texts) if x < .93 else mutate(pick(texts))
    return statement()


for _ in range(count):
    case = {"kind": "sql"}
    if kind == "chain":
        case["chain"] = [pick([text, text, lambda: pick(["SELECT 'a\\' FROM t", "SELECT 'it\\'s', 'b'", "SELECT '\\\\'", "SELECT 'c:\\dir\\'", "SELECT '\\"])])() for _ in range(r.randrange(2, 6))]
    else:
        case["input"] = text()
    c = config()
    if c is not None:
        case["config"] = c
    print(json.dumps(case))
