//! The hub that the environment describes.

use super::Hub;
use crate::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;

impl Hub {
    /// The hub that the environment describes; an empty variable counts as unset.
    ///
    /// - [`torch`](Self::torch) is `hub/checkpoints` in `TORCH_HOME`, else in `torch` in `XDG_CACHE_HOME`, else in
    ///   `~/.cache/torch`, as torch has it on every system.
    /// - [`cache`](Self::cache) is `PRETRAINED_CACHE`, else `pretrained` in the system's folder for caches.
    /// - [`offline`](Self::offline) is on when `PRETRAINED_OFFLINE` is set to anything but `0`.
    /// - [`env_proxy`](Self::env_proxy) is on.
    ///
    /// # Errors
    /// [`Error::Usage`] when neither `PRETRAINED_CACHE` nor a home folder is there.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(&|name| std::env::var_os(name), dirs::home_dir(), dirs::cache_dir())
    }

    fn from_vars(
        var: &dyn Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
        caches: Option<PathBuf>,
    ) -> Result<Self> {
        let var = |name| var(name).filter(|value| !value.is_empty());
        // Torch expands `~` itself, so it may well stand in a variable that no shell has seen.
        let folder = |name| {
            let path = PathBuf::from(var(name)?);
            match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => Some(home.join(rest)),
                _ => Some(path),
            }
        };
        let torch = folder("TORCH_HOME")
            .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("torch")))
            .or_else(|| Some(home.as_ref()?.join(".cache").join("torch")));
        let cache = folder("PRETRAINED_CACHE").or_else(|| Some(caches?.join("pretrained"))).ok_or_else(|| {
            Error::Usage("there is no home folder to keep weights in: set PRETRAINED_CACHE to a folder".into())
        })?;
        Ok(Self {
            torch: torch.map(|torch| torch.join("hub").join("checkpoints")),
            offline: var("PRETRAINED_OFFLINE").is_some_and(|value| value != "0"),
            env_proxy: true,
            ..Self::new(cache)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn hub(vars: &[(&str, &str)]) -> Hub {
        let var = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Hub::from_vars(&var, Some("/home/me".into()), Some("/caches".into())).unwrap()
    }

    #[test]
    fn an_empty_environment_means_the_home_folder() {
        let hub = hub(&[("TORCH_HOME", ""), ("PRETRAINED_CACHE", ""), ("PRETRAINED_OFFLINE", "")]);
        assert_eq!(hub.torch.unwrap(), Path::new("/home/me/.cache/torch/hub/checkpoints"));
        assert_eq!(hub.cache, Path::new("/caches/pretrained"));
        assert!(!hub.offline && hub.env_proxy);
    }

    #[test]
    fn variables_come_before_the_home_folder() {
        let both = hub(&[("TORCH_HOME", "/torch"), ("XDG_CACHE_HOME", "/xdg"), ("PRETRAINED_CACHE", "~/mine")]);
        assert_eq!(both.torch.unwrap(), Path::new("/torch/hub/checkpoints"));
        assert_eq!(both.cache, Path::new("/home/me/mine"));
        let xdg = hub(&[("XDG_CACHE_HOME", "/xdg")]);
        assert_eq!(xdg.torch.unwrap(), Path::new("/xdg/torch/hub/checkpoints"));
    }

    #[test]
    fn offline_is_any_value_but_zero() {
        assert!(hub(&[("PRETRAINED_OFFLINE", "1")]).offline);
        assert!(hub(&[("PRETRAINED_OFFLINE", "yes")]).offline);
        assert!(!hub(&[("PRETRAINED_OFFLINE", "0")]).offline);
    }

    #[test]
    fn without_a_home_a_cache_must_be_named() {
        let error = Hub::from_vars(&|_| None, None, None).unwrap_err();
        assert!(error.to_string().contains("PRETRAINED_CACHE"), "{error}");
    }
}
