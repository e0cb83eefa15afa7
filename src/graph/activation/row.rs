//! What a row of the table of activations holds, and what is read off it.

use super::Activation;

/// How many settings an activation has at most: shaders have room for two.
pub const SETTINGS: usize = 2;

/// The columns that are the same whatever the settings are.
pub struct Row {
    /// The variant's name, which steps of exported graphs have too.
    pub name: &'static str,
    /// The names of its settings.
    pub settings: &'static [&'static str],
    /// Its values for the vector `v`, as an expression in WGSL.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only shaders read it"))]
    pub wgsl: &'static str,
    /// PyTorch's classes, each with where its settings are.
    pub torch: &'static [(&'static str, &'static [Setting])],
    /// ONNX's operator, in the operator set that export writes; none where the [`Part`]s take its place.
    pub onnx: Option<Operator>,
    /// Settings that tests run it with.
    pub example: &'static [f32],
    /// The activation with these settings.
    pub with: fn([f32; SETTINGS]) -> Activation,
}

/// Where a module of PyTorch's has a setting.
pub enum Setting {
    /// In the attribute of this name.
    Attribute(&'static str),
    /// Nowhere: it is always this.
    Always(f32),
}

/// An operator of another format, and how it takes the settings, all of them in their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operator {
    /// Its name.
    pub name: &'static str,
    /// The names of attributes that hold settings, each with what it is where a node has none.
    pub attributes: &'static [(&'static str, f32)],
    /// The names of inputs after the image that hold settings.
    pub inputs: &'static [&'static str],
}

impl Operator {
    /// One that takes no settings.
    pub const fn named(name: &'static str) -> Self {
        Self { name, attributes: &[], inputs: &[] }
    }

    /// Takes settings as attributes.
    pub const fn attributes(self, attributes: &'static [(&'static str, f32)]) -> Self {
        Self { attributes, ..self }
    }

    /// Takes settings as inputs. Import has a function of its own for such an operator.
    pub const fn inputs(self, inputs: &'static [&'static str]) -> Self {
        Self { inputs, ..self }
    }
}

/// What is known of the values that an activation gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// Bounds are all that it does: between them numbers pass as they are.
    Clamped(f32, f32),
    /// Values lie between these.
    Between(f32, f32),
}

/// A part of the formula of an activation, where it is composed of others. The first takes `x`, each further one what the
/// one before it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// Times a number.
    Scale(f32),
    /// Plus a number.
    Shift(f32),
    /// Another activation.
    Apply(Activation),
    /// Times `x`.
    TimesX,
    /// Plus another activation of `x`.
    Plus(Activation),
}

/// Makes [`Activation`] of its table, and functions of the columns that depend on the settings.
macro_rules! activations {
    ($(
        $(#[$doc:meta])*
        $name:ident $(($($(#[$about:meta])* $setting:ident),*))? {
            of: |$x:ident| $of:expr,
            wgsl: $wgsl:literal,
            values: $values:expr,
            torch: [$($torch:expr),*],
            onnx: $onnx:expr,
            mindir: $mindir:expr,
            parts: $parts:expr,
            example: [$($example:expr),*],
        }
    )*) => {
        /// A function of each number by itself, under PyTorch's name.
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[non_exhaustive]
        pub enum Activation {
            $($(#[$doc])* $name $({ $($(#[$about])* $setting: f32),* })?),*
        }

        #[allow(unused_variables, unused_mut, reason = "not all rows have settings, nor do all columns read them")]
        impl Activation {
            /// The columns that are the same whatever the settings are.
            pub(crate) const ROWS: &[Row] = &[$(Row {
                name: stringify!($name),
                settings: &[$($(stringify!($setting)),*)?],
                wgsl: $wgsl,
                torch: &[$($torch),*],
                onnx: $onnx,
                example: &[$($example),*],
                with: |settings| {
                    let mut settings = settings.into_iter();
                    Self::$name { $($($setting: settings.next().unwrap_or_default()),*)? }
                },
            }),*];

            /// Its value at `x`.
            pub fn of(self, x: f32) -> f32 {
                match self {
                    $(Self::$name { $($($setting),*)? } => {
                        let $x = x;
                        $of
                    })*
                }
            }

            /// What is known of its values.
            pub(crate) fn values(self) -> Values {
                match self { $(Self::$name { $($($setting),*)? } => $values),* }
            }

            /// MindSpore's operator; none where the [`Part`]s take its place.
            pub(crate) fn mindir(self) -> Option<Operator> {
                match self { $(Self::$name { $($($setting),*)? } => $mindir),* }
            }

            /// What it is composed of; nothing where it is of no other activations.
            pub(crate) fn parts(self) -> Vec<Part> {
                match self { $(Self::$name { $($($setting),*)? } => $parts),* }
            }

            /// The settings in their order, and zeros.
            pub(crate) fn settings(self) -> [f32; SETTINGS] {
                let own: &[f32] = match self { $(Self::$name { $($($setting),*)? } => &[$($($setting),*)?]),* };
                std::array::from_fn(|at| own.get(at).copied().unwrap_or_default())
            }

            fn name(self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name)),* }
            }
        }
    };
}
pub(super) use activations;

impl Activation {
    /// The columns that are the same whatever the settings are.
    pub(crate) fn row(self) -> &'static Row {
        &Self::ROWS[self.place()]
    }

    /// The place of its row in the table.
    pub(crate) fn place(self) -> usize {
        Self::ROWS.iter().position(|row| row.name == self.name()).unwrap_or_default()
    }

    /// The activation that a class of PyTorch's is, with the attributes that `number` reads; none where there is no such
    /// row.
    pub(crate) fn of_torch<E>(class: &str, number: impl Fn(&str) -> Result<f32, E>) -> Option<Result<Self, E>> {
        let (row, settings) = Self::ROWS.iter().find_map(|row| Some((row, row.settings_of(class)?)))?;
        Some(row.filled(settings.iter().map(|setting| match setting {
            Setting::Attribute(name) => number(name),
            Setting::Always(value) => Ok(*value),
        })))
    }

    /// The activation that an operator of ONNX is, with the attributes that `number` reads by name and default; none where
    /// there is no such row.
    pub(crate) fn of_onnx<E>(operator: &str, number: impl Fn(&str, f32) -> Result<f32, E>) -> Option<Result<Self, E>> {
        let mut rows = Self::ROWS.iter().filter_map(|row| Some((row, row.onnx?)));
        let (row, own) = rows.find(|(_, own)| own.name == operator && own.inputs.is_empty())?;
        Some(row.filled(own.attributes.iter().map(|(name, default)| number(name, *default))))
    }

    /// The activation that is `x` times `gate` of `x`; settings are the same where `close` says so.
    pub(crate) fn gated(gate: Self, close: impl Fn(f32, f32) -> bool) -> Option<Self> {
        let is_gate = |own: &Self| {
            own.name() == gate.name() && gate.settings().into_iter().zip(own.settings()).all(|(a, b)| close(a, b))
        };
        let mut fixed = Self::ROWS.iter().filter(|row| row.settings.is_empty()).map(|row| (row.with)([0.0; SETTINGS]));
        fixed.find(|one| matches!(&one.parts()[..], [Part::Apply(own), Part::TimesX] if is_gate(own)))
    }

    /// One of each row, with its name.
    #[doc(hidden)]
    pub fn examples() -> impl Iterator<Item = (&'static str, Self)> {
        Self::ROWS.iter().map(|row| {
            let settings = std::array::from_fn(|at| row.example.get(at).copied().unwrap_or_default());
            (row.name, (row.with)(settings))
        })
    }
}

impl Row {
    /// Where a class of PyTorch's has the settings, if it is this activation.
    pub fn settings_of(&self, class: &str) -> Option<&'static [Setting]> {
        self.torch.iter().find(|(own, _)| *own == class).map(|(_, settings)| *settings)
    }

    fn filled<E>(&self, values: impl Iterator<Item = Result<f32, E>>) -> Result<Activation, E> {
        let mut settings = [0.0; SETTINGS];
        for (setting, value) in settings.iter_mut().zip(values) {
            *setting = value?;
        }
        Ok((self.with)(settings))
    }
}

// No row has more settings than shaders have room for, and every column has them all.
const _: () = {
    let mut at = 0;
    while at < Activation::ROWS.len() {
        let row = &Activation::ROWS[at];
        assert!(row.settings.len() <= SETTINGS && row.example.len() == row.settings.len());
        let mut class = 0;
        while class < row.torch.len() {
            assert!(row.torch[class].1.len() == row.settings.len());
            class += 1;
        }
        if let Some(operator) = row.onnx {
            assert!(operator.attributes.len() + operator.inputs.len() == row.settings.len());
        }
        at += 1;
    }
};
