//! What the agent's tokenizer does with its tokens: drop, replace, group, write.
//!
//! In this order, each decision looking at the token before as it was left by all of them:
//! 1. with `table_names`, what follows FROM, JOIN, UPDATE or INTO is a table's name;
//! 2. comments, `;` and aliases are dropped;
//! 3. literals become `?`;
//! 4. of several `?` in a list only the first stays, and of several lists `( ? )` as well.
//!
//! The usual tokens in the usual places take a short way ([`Grouping::name`], [`Grouping::literal`] ...), all others
//! [`Grouping::push`], which holds the whole rule.

use super::SqlConfig;
use super::chars;
use super::tokenizer::Refused;
use super::writer::Writer;

/// What a token is, as far as any rule asks. The last four are never scanned: they are what a token has become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Other,
    Name,
    Keyword,
    Select,
    Delete,
    Update,
    Into,
    From,
    Join,
    As,
    Savepoint,
    /// Strings and numbers: hidden wherever they stand.
    Literal,
    /// What is hidden too (NULL, TRUE, parameters), but may be a table's name.
    Value,
    DoubleQuoted,
    Comment,
    Comma,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Equals,
    Colon,
    Semicolon,
    Table,
    /// Stands for a value, or was dropped from a list of values.
    Grouped,
    /// An opening parenthesis that was dropped.
    GroupedOpen,
    Dropped,
    /// Part of an alias in brackets.
    Bracketed,
}

impl Kind {
    const fn bit(self) -> u32 {
        1 << self as u32
    }

    fn is_grouped(self) -> bool {
        matches!(self, Kind::Grouped | Kind::GroupedOpen)
    }

    fn grouped(self) -> Kind {
        if self == Kind::Open { Kind::GroupedOpen } else { Kind::Grouped }
    }
}

/// What of a token is written.
enum Shown {
    Text,
    WithoutDigits,
    Placeholder,
    Nothing,
}

/// What the tokens so far mean for the next one.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// What the last token was, or has become.
    pub(super) last: Kind,
    /// How many values were seen in a row; only 0, 1 and more differ.
    pub(super) values: u32,
    /// How many lists were seen in a row; only 0, 1 and more differ.
    pub(super) lists: u32,
}

/// The state between two tokens, and the output.
pub(super) struct Grouping<'o> {
    pub(super) state: State,
    /// The kinds after which only the whole rule will do.
    special: u32,
    pub(super) keep_alias: bool,
    replace_digits: bool,
    table_names: bool,
    pub(super) out: Writer<'o>,
}

impl<'o> Grouping<'o> {
    pub(super) fn new(config: &SqlConfig, out: Writer<'o>) -> Self {
        let mut special = Kind::As.bit() | Kind::Bracketed.bit() | Kind::Savepoint.bit();
        if config.table_names {
            special |= Kind::From.bit() | Kind::Join.bit() | Kind::Update.bit() | Kind::Into.bit();
        }
        Grouping {
            state: State { last: Kind::Other, values: 0, lists: 0 },
            special,
            keep_alias: config.keep_sql_alias,
            replace_digits: config.replace_digits,
            table_names: config.table_names,
            out,
        }
    }

    /// The written output; nothing at all is a refusal.
    pub(super) fn into_writer(self) -> Writer<'o> {
        self.out
    }

    /// Whether the next token may be a usual one: see `tokenizer/usual.rs`.
    #[inline(always)]
    pub(super) fn is_usual(&self) -> bool {
        let unusual = self.special | Kind::GroupedOpen.bit() | Kind::Colon.bit();
        unusual & self.state.last.bit() == 0
            && !self.replace_digits
            && !self.table_names
            && !self.out.is_empty()
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.special & self.state.last.bit() == 0
    }

    /// A name or keyword, `src[from..to]`.
    #[inline(always)]
    pub(super) fn name(&mut self, kind: Kind, src: &[u8], from: usize, to: usize) -> Result<(), Refused> {
        let is_alias = (kind == Kind::As && self.is_plain()) || self.state.last == Kind::As;
        if is_alias && !self.keep_alias && self.state.lists <= 1 {
            (self.state.values, self.state.lists) = (0, 0);
            self.state.last = if self.state.last == Kind::As { Kind::Dropped } else { Kind::As };
            return Ok(());
        }
        if kind == Kind::As || self.replace_digits {
            return self.push(kind, &src[from..to]);
        }
        self.symbol(kind, src, from, to)
    }

    /// A token that is written as it is: keywords, operators, but none that step 2 or 3 may drop or change.
    #[inline(always)]
    pub(super) fn symbol(&mut self, kind: Kind, src: &[u8], from: usize, to: usize) -> Result<(), Refused> {
        let is_plain =
            (self.special | Kind::GroupedOpen.bit() | Kind::Colon.bit()) & self.state.last.bit() == 0;
        if is_plain && self.state.lists <= 1 {
            (self.state.values, self.state.lists) = (0, 0);
            self.state.last = kind;
            self.out.word(src, from, to);
            return Ok(());
        }
        self.push(kind, &src[from..to])
    }

    /// NULL, a parameter ...: a literal unless it stands for a table.
    #[inline(always)]
    pub(super) fn value(&mut self, text: &[u8]) -> Result<(), Refused> {
        if self.is_plain() { self.literal() } else { self.push(Kind::Value, text) }
    }

    /// A string or number.
    #[inline(always)]
    pub(super) fn literal(&mut self) -> Result<(), Refused> {
        if self.is_plain() {
            self.state.lists += u32::from(self.state.last == Kind::Open);
            self.state.last = Kind::Grouped;
            if self.state.values == 0 {
                self.state.values = 1;
                self.out.symbol(b'?');
            }
            return Ok(());
        }
        self.push(Kind::Literal, b"?")
    }

    #[inline(always)]
    pub(super) fn comma(&mut self) -> Result<(), Refused> {
        if self.is_plain() {
            if self.state.values > 0 || self.state.lists > 1 {
                self.state.last = Kind::Grouped;
            } else {
                self.state.last = Kind::Comma;
                self.out.tight(b",");
            }
            return Ok(());
        }
        self.push(Kind::Comma, b",")
    }

    #[inline(always)]
    pub(super) fn open(&mut self) -> Result<(), Refused> {
        if self.is_plain() {
            if self.state.lists == 0 {
                self.state.last = Kind::Open;
                self.out.symbol(b'(');
            } else {
                self.state.lists = 2;
                self.state.last = Kind::GroupedOpen;
            }
            return Ok(());
        }
        self.push(Kind::Open, b"(")
    }

    #[inline(always)]
    pub(super) fn close(&mut self) -> Result<(), Refused> {
        if self.is_plain() {
            if self.state.lists <= 1 {
                self.state.last = Kind::Close;
                self.out.symbol(b')');
            } else {
                self.state.last = Kind::Grouped;
            }
            return Ok(());
        }
        self.push(Kind::Close, b")")
    }

    /// Any token: the whole rule.
    #[inline(never)]
    pub(super) fn push(&mut self, kind: Kind, text: &[u8]) -> Result<(), Refused> {
        let last = self.state.last;
        let kind = if self.table_names { self.as_table(kind, text) } else { kind };
        let (kind, shown) = self.dropped(kind)?;
        let (kind, shown) = self.replaced(kind, shown);

        if (last == Kind::Open && kind.is_grouped()) || (kind == Kind::Open && self.state.lists > 0) {
            self.state.lists = (self.state.lists + 1).min(2);
        }
        let starts_query = matches!(kind, Kind::Select | Kind::Delete | Kind::Update | Kind::Name);
        if self.state.lists > 0 && last == Kind::GroupedOpen && starts_query {
            // The dropped parenthesis opened a query, not a list: it comes back.
            (self.state.values, self.state.lists, self.state.last) = (0, 0, kind);
            self.out.symbol(b'(');
            self.write(kind, last, shown, text);
            return Ok(());
        }
        let (kind, shown) = if kind.is_grouped() {
            self.state.values = (self.state.values + 1).min(2);
            if self.state.values > 1 { (Kind::Grouped, Shown::Nothing) } else { (kind, shown) }
        } else if self.state.values > 0 && kind == Kind::Comma {
            (Kind::Grouped, Shown::Nothing)
        } else if self.state.lists > 1 {
            (kind.grouped(), Shown::Nothing)
        } else {
            if !matches!(kind, Kind::Comma | Kind::Open | Kind::Close) {
                (self.state.values, self.state.lists) = (0, 0);
            }
            (kind, shown)
        };
        self.write(kind, last, shown, text);
        self.state.last = kind;
        Ok(())
    }

    /// Writes a comment that stays; no rule sees it.
    pub(super) fn comment(&mut self, text: &[u8]) {
        self.out.spaced(text);
    }

    /// Step 1. A string or number is never taken for a table, although the agent does: it would be shown.
    fn as_table(&self, kind: Kind, text: &[u8]) -> Kind {
        let is_table = match self.state.last {
            Kind::From | Kind::Join => chars::is_letter(chars::decode(text, 0).0),
            Kind::Update | Kind::Into => true,
            _ => false,
        };
        if is_table && kind != Kind::Literal { Kind::Table } else { kind }
    }

    /// Step 2.
    fn dropped(&self, kind: Kind) -> Result<(Kind, Shown), Refused> {
        match (self.state.last, kind) {
            // Between the brackets of an alias there may be nothing but names.
            (Kind::Bracketed, Kind::Name) => Ok((Kind::Bracketed, Shown::Nothing)),
            (Kind::Bracketed, kind) if kind != Kind::CloseBracket => Err(Refused::default()),
            (Kind::As, Kind::OpenBracket) => Ok((Kind::Bracketed, Shown::Nothing)),
            (Kind::As | Kind::Bracketed, kind) if self.keep_alias => Ok((kind, Shown::Text)),
            (Kind::As | Kind::Bracketed, _) | (_, Kind::Comment) => Ok((Kind::Dropped, Shown::Nothing)),
            (_, Kind::Semicolon) => Ok((Kind::Grouped, Shown::Nothing)),
            (_, Kind::As) if !self.keep_alias => Ok((Kind::As, Shown::Nothing)),
            (_, kind) => Ok((kind, Shown::Text)),
        }
    }

    /// Step 3.
    fn replaced(&self, kind: Kind, shown: Shown) -> (Kind, Shown) {
        match (self.state.last, kind) {
            (Kind::Savepoint, kind) => (kind.grouped(), Shown::Placeholder),
            (Kind::Equals, Kind::DoubleQuoted) | (_, Kind::Literal | Kind::Value) => {
                (Kind::Grouped, Shown::Placeholder)
            }
            (_, Kind::Name | Kind::Table) if self.replace_digits => (kind, Shown::WithoutDigits),
            _ => (kind, shown),
        }
    }

    fn write(&mut self, kind: Kind, last: Kind, shown: Shown, text: &[u8]) {
        let is_tight = kind == Kind::Comma || (kind == Kind::Equals && last == Kind::Colon);
        match shown {
            Shown::Nothing => {}
            Shown::Placeholder => self.out.symbol(b'?'),
            Shown::Text if is_tight => self.out.tight(text),
            Shown::Text => self.out.spaced(text),
            Shown::WithoutDigits => {
                self.out.spaced(b"");
                self.out.without_digits(text);
            }
        }
    }
}
