//! Enums whose values are words of the file format.

/// Declares an enum together with the words that stand for its values in a file.
macro_rules! word_enum {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] $variant),*
        }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word that stands for the value in a file.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// The value that a word of a file stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::ast::names::Word for $name {
            fn words() -> Vec<&'static str> {
                Self::ALL.iter().map(|value| value.word()).collect()
            }

            fn find(word: &str) -> Option<Self> {
                Self::from_word(word)
            }
        }
    };
}

/// What the reader needs of such an enum.
pub(crate) trait Word: Sized {
    /// All words, for messages.
    fn words() -> Vec<&'static str>;
    /// The value of a word.
    fn find(word: &str) -> Option<Self>;
}

pub(crate) use word_enum;
