//! What programs may rely on of every public type: it can be sent to another thread and shared by several.

use crate::{catalog, checkpoint, compile, graph, import, vision, zoo};

const fn sent<T: Send + 'static>() {}
const fn shared<T: Send + Sync + 'static>() {}

const _: () = {
    shared::<crate::Error>();
    shared::<crate::ErrorKind>();
    shared::<crate::Tensor>();
    shared::<crate::TensorError>();
    shared::<crate::StateDict>();
    shared::<crate::Limits>();
    shared::<crate::SaveOptions>();
    shared::<crate::Checkpoints>();
    shared::<crate::CheckpointConfig>();
    shared::<crate::Rename>();
    shared::<crate::Renaming>();
    shared::<checkpoint::remap::Rule>();
    shared::<graph::Graph>();
    shared::<graph::Builder>();
    shared::<graph::Op>();
    shared::<graph::Head>();
    shared::<zoo::Network>();
    shared::<import::ImportOptions>();
    shared::<crate::Initialiser>();
    shared::<crate::Strictness>();
    shared::<crate::LoadReport>();
    shared::<crate::Weights>();
    shared::<crate::Model>();
    shared::<crate::ExportOptions>();
    shared::<compile::Plan>();
    shared::<compile::Kernel>();
    shared::<crate::Device>();
    shared::<crate::DeviceChoice>();
    shared::<crate::DeviceInfo>();
    shared::<crate::CpuOptions>();
    shared::<crate::Session>();
    shared::<crate::SessionOptions>();
    // Whoever has one of these is the only one, so they are sent and not shared.
    sent::<crate::Staged>();
    sent::<crate::Ticket>();
    shared::<crate::StepTime>();
    shared::<crate::Classifier>();
    shared::<crate::ClassifierBuilder>();
    shared::<crate::Prediction>();
    shared::<crate::Preprocess>();
    shared::<crate::Preset>();
    shared::<vision::Labels>();
    shared::<vision::Limits>();
    shared::<vision::Decoding>();
    shared::<vision::Overrides>();
    shared::<vision::Planes>();
    shared::<vision::Levels>();
    shared::<vision::Normalisation>();
    shared::<catalog::CatalogModel>();
    shared::<crate::Package>();
    shared::<crate::PackageBuilder>();
    shared::<crate::Draft>();
    shared::<crate::Provenance>();
    shared::<crate::Pipeline>();
    shared::<crate::pipeline::Canceller>();
    shared::<crate::Files>();
};

#[cfg(feature = "sources")]
const _: () = {
    shared::<crate::sources::Item>();
    shared::<crate::sources::Options>();
    shared::<crate::sources::Shard>();
    shared::<crate::sources::Identity>();
    sent::<crate::sources::Items>();
    sent::<crate::sources::Folder>();
    sent::<crate::sources::List<std::io::Empty>>();
};

#[cfg(feature = "hub")]
const _: () = {
    shared::<crate::hub::Hub>();
    shared::<crate::hub::Fetched>();
    shared::<crate::hub::Progress>();
    shared::<crate::hub::Weights<'static>>();
};

/// What is written comes back.
#[cfg(feature = "serde")]
#[test]
fn predictions_preprocessing_labels_and_reports_go_through_json() {
    fn there_and_back<T>(value: &T) -> String
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let text = serde_json::to_string(value).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
        text
    }
    let label = Some("tiger".to_owned());
    let text = there_and_back(&crate::Prediction { class: 3, label, probability: 0.5 });
    assert_eq!(text, r#"{"class":3,"label":"tiger","probability":0.5}"#);
    let text = there_and_back(&crate::Preset::Torchvision.preprocess());
    assert!(
        text.starts_with(r#"{"decoding":"exact","resize":{"shorter_side":256},"filter":"bilinear","crop":{"centre":"#),
        "{text}"
    );
    assert_eq!(there_and_back(&vision::Labels::from(vec!["cat".to_owned(), "dog".to_owned()])), r#"["cat","dog"]"#);
    let initialiser = crate::Initialiser::KaimingNormal { a: 0.0, fan: crate::Fan::Out };
    let initialised = vec![crate::Initialised { name: "fc.bias".into(), shape: vec![3], initialiser }];
    there_and_back(&crate::LoadReport { loaded: vec!["fc.weight".into()], initialised, ..Default::default() });
}
