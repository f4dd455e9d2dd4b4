//! What the policy room says.

/// The note on the rows of a preset. `install_preset` finds them again by its first word.
pub fn preset_note(preset: &str) -> String {
    format!("preset {preset}")
}

/// A preset that does not exist.
pub fn no_such_preset(preset: &str) -> String {
    format!("there is no preset \"{preset}\"")
}

/// The presets.
pub const NO_SUCH_PRESET_HINT: &str = "The presets are observe, standard and strict.";

/// Another preset is in force; `note` is that of its rows.
pub fn other_preset(note: &str) -> String {
    format!("the policy keeps the rows of the {note}")
}

/// The statements that replace it.
pub fn other_preset_hint(note: &str, preset: &str) -> String {
    format!(
        "DELETE FROM migration_guard.policy WHERE note = '{note}'; SELECT migration_guard.enable('{preset}');"
    )
}
