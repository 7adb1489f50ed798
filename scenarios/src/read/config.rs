//! The configuration of a project.

use super::Reader;
use super::top::TopForm;
use crate::config::Config;
use crate::diag::Diagnostic;
use crate::syntax::Node;

pub(super) const FIELDS: &[&str] = &["schema", "scenarios", "kernels", "costs", "explore", "out"];

/// What is read of a configuration, and messages.
pub(crate) fn read_config(root: &Node) -> (Option<Config>, Vec<Diagnostic>) {
    let mut reader = Reader::default();
    let config = reader.config(root);
    (config, reader.diags)
}

impl Reader {
    fn config(&mut self, root: &Node) -> Option<Config> {
        let args = self.top(root, &TopForm::CONFIG)?;
        self.schema(root, args)?;
        let fields = self.named_args(root, args, "the configuration", FIELDS)?;
        let texts = |reader: &mut Self, name: &str, what: &str| match fields.get(name) {
            Some(node) => {
                reader.each(node, &format!("`{name}`"), |reader, item| reader.text(item, what))
            }
            None => Vec::new(),
        };
        let scenarios = texts(self, "scenarios", "a pattern of files");
        let kernels = texts(self, "kernels", "a kernel");
        let costs = fields.get("costs").and_then(|node| self.text(node, "the costs"));
        let explore = fields.get("explore").and_then(|node| self.explore(node));
        let out = fields.get("out").and_then(|node| self.text(node, "the folder"));
        Some(Config { scenarios, kernels, costs, explore: explore.unwrap_or_default(), out })
    }
}
